/*
 * The line editor: arrows, history, completion.
 *
 * Belongs to the shell's thread, or to the command that asks; line_byte_arrived()
 * alone runs in the receive interrupt. An escape sequence is read as the control
 * character that does the same. A line wider than the screen is shown in part,
 * around the cursor.
 */
#include <string.h>

#include "kernel/lib/printf.h"
#include "kernel/shell/input.h"
#include "kernel/shell/internal.h"

#define WIDTH	70 /* columns of the line that are shown */
#define HISTORY 17 /* the line being typed and those before it */
#define CTRL(c) ((c)&0x1f)

struct wait_queue console_wait = WAIT_QUEUE_INIT(console_wait, "console");
bool ctrl_c;

static char line[LINE_SIZE], history[HISTORY][LINE_SIZE];
static unsigned int len, pos; /* line[len] is 0 */
/* And what its first word can be, as shell_command's complete(). */
static const char *prompt, *(*first_words)(int arg, unsigned int i);
/* Characters refused; lines entered ever; how many ago is the one shown. */
static unsigned int over, entered, back;

bool line_byte_arrived(char c)
{
	if (c == CTRL('C'))
		WRITE_ONCE(ctrl_c, true);
	wake_up_all(&console_wait);
	return c == CTRL('C');
}

static char next_byte(void)
{
	char c = CTRL('C');

	wait_event_kind(&console_wait, &idle_wait,
			READ_ONCE(ctrl_c) || uart_read(&c));
	return c;
}

static void redraw(void)
{
	unsigned int first = pos < WIDTH ? 0 : pos - WIDTH + 1;

	kprintf("\r%s%.*s\033[K\r\033[%uC", prompt, WIDTH, line + first,
		strlen(prompt) + pos - first);
}

static void insert(char c)
{
	if (len == LINE_SIZE - 1) {
		over++;
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
 * Ctrl-A, E, B, F move the cursor; Ctrl-U, K, H, D and W delete from it to where
 * the key before theirs in this string goes. Other keys do nothing.
 */
static void move_or_delete(char c)
{
	unsigned int key = strcspn("AUEKBHFD.W", (char[]){ c + '@', 0 });
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
	over = 0; /* the user has seen where the line ends */
	redraw();
}

/* Show the line n ago. */
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

static void complete_word(void)
{
	const char *(*word)(int arg, unsigned int i) = first_words;
	const char *w, *first = NULL;
	char before[LINE_SIZE], *p, *blank;
	unsigned int n, common = 0, found = 0, i;
	int arg = 0;

	/* The words of this command before the cursor; p: the last one. */
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
		insert(first[n++]);
	if (found == 1)
		insert(' ');
	for (i = 0; found > 1 && (w = word(arg, i)); i++)
		if (strncmp(w, first, common) == 0)
			kprintf("%s%s", w == first ? "\n" : "  ", w);
	if (found > 1)
		kprintf("\n");
	redraw();
}

/* The rest of an escape sequence; 0: none that we know. */
static char escape(void)
{
	/* its letter, or its number before '~'; the control character */
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
	len = pos = over = back = line[0] = 0;
	for (;;) {
		c = next_byte();
		if (c == '\033')
			c = escape();
		if (c == 0x7f)
			c = CTRL('H');
		if (c == '\r' || c == '\n' || c == CTRL('C'))
			break;
		if (c == '\t')
			complete_word();
		else if (c == CTRL('P') || c == CTRL('N'))
			recall(c == CTRL('P') ? back + 1 : back - 1);
		else if (c >= ' ' && c < 0x7f)
			insert(c);
		else
			move_or_delete(c);
	}
	kprintf(c == CTRL('C') ? "^C\n" : "\n");
	if (c == CTRL('C')) {
		WRITE_ONCE(ctrl_c, false); /* seen */
		return NULL;
	}
	if (over)
		kprintf("line too long by %u characters\n", over);
	line[over ? 0 : len] = 0;
	if (line[0])
		strcpy(history[entered++ % HISTORY], line);
	return line;
}
