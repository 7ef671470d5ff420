/*
 * The line editor: arrow keys, history, completion.
 *
 * Belongs to the shell's thread, or to the command that calls shell_ask(). Only
 * line_byte_arrived() runs in the receive interrupt. An escape sequence is
 * translated to the control character with the same effect. If a line is wider
 * than the screen, the part around the cursor is shown.
 */
#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/input.h"
#include "kernel/shell/internal.h"

#define WIDTH	70 /* columns shown of the line */
#define HISTORY 17 /* the line being typed, and older ones */
#define CTRL(c) ((c)&0x1f)

struct wait_queue console_wait = WAIT_QUEUE_INIT(console_wait, "console");
bool ctrl_c;

static char line[LINE_SIZE], history[HISTORY][LINE_SIZE];
static unsigned int len, pos; /* line[len] is 0 */
/* first_words(0, i): see shell_ask(). */
static const char *prompt, *(*first_words)(int arg, unsigned int i);
/* excess: how many characters did not fit. entered: how many lines were entered
 * since the start. The line that was entered `back` lines ago is shown. */
static unsigned int excess, entered, back;

bool line_byte_arrived(char c)
{
	if (c == CTRL('C'))
		WRITE_ONCE(ctrl_c, true);
	wake_up_all(&console_wait);
	return c == CTRL('C');
}

static void redraw(void)
{
	unsigned int first = pos < WIDTH ? 0 : pos - WIDTH + 1;

	kprintf("\r%s%.*s\033[K\r\033[%uC", prompt, WIDTH, line + first,
		strlen(prompt) + pos - first);
}

/* Wait for the next byte. Returns Ctrl-C if Ctrl-C was typed. */
static char next_byte(void)
{
	unsigned int lost = 0;
	char c = CTRL('C');

	wait_event_kind(&console_wait, &idle_wait,
			READ_ONCE(ctrl_c) || uart_read(&c) ||
				(lost = uart_lost()));
	if (lost) {
		/* The middle of a script is missing: the rest must not run. */
		kprintf("\ninput: %u characters are lost, as only %u can wait: "
			"the machine ends\n",
			lost, UART_RING);
		machine_exit(1);
	}
	return c;
}

static void insert_char(char c)
{
	if (len == LINE_SIZE - 1) {
		excess++;
		kprintf("\a");
		return;
	}
	memmove(line + pos + 1, line + pos, ++len - pos);
	line[pos++] = c;
	if (pos == len && len < WIDTH)
		console_write(&c, 1);
	else
		redraw();
}

/*
 * The string in this function has pairs of control keys. The first key of a
 * pair moves the cursor to a place. The second key deletes the text between the
 * cursor and that place. The pairs are A and U, E and K, B and H, F and D. W
 * has no first key: no byte gives the x. Other keys do nothing.
 */
static void move_or_delete(char c)
{
	unsigned int key = strcspn("AUEKBHFDxW", (char[]){ c + '@', 0 });
	unsigned int to, high, word = pos;

	while (word && (word == pos || line[word - 1] != ' '))
		word--;
	to = (unsigned int[]){ 0,    len, pos - (pos > 0), pos + (pos < len),
			       word, pos }[key / 2];
	if (key % 2) {
		high = max(pos, to);
		to = min(pos, to);
		memmove(line + to, line + high, len + 1 - high);
		len -= high - to;
	}
	pos = to;
	excess = 0; /* the user has seen where the line ends */
	redraw();
}

/* Show the line that was entered n lines ago. */
static void recall(unsigned int n)
{
	if (n > entered || n >= HISTORY)
		return;
	strcpy(history[(entered - back) % HISTORY], line);
	strcpy(line, history[(entered - n) % HISTORY]);
	back = n;
	len = pos = strlen(line);
	redraw();
}

/* Complete the word in front of the cursor, or list the words that fit. */
static void complete_word(void)
{
	const char *(*word)(int arg, unsigned int i) = first_words;
	const char *w, *first = NULL;
	char before[LINE_SIZE], *p, *blank;
	unsigned int n, common = 0, found = 0, i;
	int arg = 0;

	/* Go through the words of the command in front of the cursor. Then p is
	 * the last of these words, and arg is its number. */
	ksnprintf(before, pos + 1, "%s", line);
	p = strrchr(before, ';') ? strrchr(before, ';') + 1 : before;
	for (; (blank = strchr(p, ' ')); p = blank + 1) {
		*blank = 0;
		if (*p && !arg++)
			word = shell_find(p) ? shell_find(p)->complete : NULL;
	}
	n = strlen(p);
	for (i = 0; word && (w = word(arg, i)); i++) {
		if (strncmp(w, p, n) != 0)
			continue;
		if (!found++)
			common = strlen(first = w);
		while (strncmp(w, first, common) != 0)
			common--;
	}
	while (n < common)
		insert_char(first[n++]);
	if (found == 1)
		insert_char(' ');
	for (i = 0; found > 1 && (w = word(arg, i)); i++)
		if (strncmp(w, first, common) == 0)
			kprintf("%s%s", w == first ? "\n" : "  ", w);
	if (found > 1)
		kprintf("\n");
	redraw();
}

/* Read the rest of an escape sequence. Returns the control character with the
 * same effect; 0 if the sequence is not known. */
static char read_escape(void)
{
	/* Pairs of characters: the letter that ends the sequence, or the digit
	 * before its '~'; and the letter of the control character. */
	static const char keys[] = "APBNCFDBHAFE1A7A4E8E3D";
	char c = next_byte(), number = 0;

	if (c != '[' && c != 'O')
		return c;
	while ((c = next_byte()) == ';' || (c >= '0' && c <= '9'))
		number = c;
	for (unsigned int i = 0; keys[i]; i += 2)
		if (keys[i] == (c == '~' ? number : c))
			return CTRL(keys[i + 1]);
	return 0;
}

char *line_read(const char *with, const char *(*words)(int, unsigned int))
{
	char c;

	first_words = words;
	kprintf("%s", prompt = with);
	len = pos = excess = back = line[0] = 0;
	for (;;) {
		c = next_byte();
		if (c == '\033')
			c = read_escape();
		if (c == 0x7f)
			c = CTRL('H');
		if (c == '\r' || c == '\n' || c == CTRL('C'))
			break;
		if (c == '\t')
			complete_word();
		else if (c == CTRL('P') || c == CTRL('N'))
			recall(c == CTRL('P') ? back + 1 : back - 1);
		else if (c >= ' ' && c < 0x7f)
			insert_char(c);
		else
			move_or_delete(c);
	}
	kprintf(c == CTRL('C') ? "^C\n" : "\n");
	if (c == CTRL('C')) {
		WRITE_ONCE(ctrl_c, false); /* handled */
		return NULL;
	}
	if (excess)
		kprintf("line too long by %u characters\n", excess);
	line[excess ? 0 : len] = 0;
	if (line[0])
		strcpy(history[entered++ % HISTORY], line);
	return line;
}
