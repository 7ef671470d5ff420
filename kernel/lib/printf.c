/*
 * Formatted output: the formatter (portable) and nothing else. The console with
 * its lock is kernel/debug/console.c. Owns no data; any context.
 */
#include "kernel/lib/printf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernel/lib/symbols.h"

struct out {
	char *buf;
	size_t size;
	size_t len; /* of the whole text, with the part that is cut off */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

struct spec {
	bool left, zero;
	int width;
	int precision; /* -1: none */
};

static void put_padded(struct out *o, const struct spec *s, const char *body,
		       int len, int sign_len)
{
	int pad = s->width - len, i = 0;

	for (; !s->left && !s->zero && pad > 0; pad--)
		put(o, ' ');
	while (i < sign_len)
		put(o, body[i++]);
	for (; s->zero && pad > 0; pad--)
		put(o, '0');
	while (i < len)
		put(o, body[i++]);
	for (; pad > 0; pad--)
		put(o, ' ');
}

static void put_number(struct out *o, const struct spec *s, uint64_t v,
		       bool negative, unsigned int base, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char body[24];
	int at = sizeof(body);

	do {
		body[--at] = digits[v % base];
		v /= base;
	} while (v);
	if (negative)
		body[--at] = '-';
	put_padded(o, s, body + at, (int)sizeof(body) - at, negative);
}

static void put_string(struct out *o, struct spec *s, const char *str)
{
	if (!str)
		str = "(null)";
	s->zero = false;
	/* As a size_t, -1 (no precision) is larger than the length of any
	 * string. */
	put_padded(o, s, str, (int)strnlen(str, (size_t)s->precision), 0);
}

static void put_pointer(struct out *o, struct spec *s, uintptr_t addr,
			bool symbolic)
{
	char text[80];
	uint32_t off;
	const char *name = symbolic ? symbol_lookup(addr, &off) : NULL;

	if (name)
		ksnprintf(text, sizeof(text), "%s+0x%x", name,
			  (unsigned int)off);
	else
		ksnprintf(text, sizeof(text), "0x%08lx", (unsigned long)addr);
	put_string(o, s, text);
}

/* Parse a number: its digits (no digit: 0), or a star, which stands for the
 * next argument. */
static const char *parse_int(const char *f, int *n, va_list *ap)
{
	if (*f == '*') {
		*n = va_arg(*ap, int);
		return f + 1;
	}
	for (*n = 0; *f >= '0' && *f <= '9'; f++)
		*n = *n * 10 + (*f - '0');
	return f;
}

static const char *parse_flags(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){ .precision = -1 };
	for (; *f == '-' || *f == '0'; f++)
		*(*f == '-' ? &s->left : &s->zero) = true;
	f = parse_int(f, &s->width, ap);
	if (*f == '.')
		f = parse_int(f + 1, &s->precision, ap);
	s->left |= s->width < 0;
	s->width = s->width < 0 ? -s->width : s->width;
	s->zero &= !s->left;
	return f;
}

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out o = { buf, size, 0 };
	va_list ap;

	va_copy(ap, args);
	for (const char *f = fmt; *f; f++) {
		const char *start = f;
		struct spec s;
		int longs = 0;

		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse_flags(f + 1, &s, &ap);
		for (; *f == 'l' || *f == 'z'; f++)
			longs += *f == 'l' ? 1 : sizeof(size_t) / sizeof(long);

		switch (*f) {
		case 'd':
		case 'i': {
			int64_t v = longs > 1  ? va_arg(ap, long long) :
				    longs == 1 ? va_arg(ap, long) :
						 va_arg(ap, int);

			put_number(&o, &s, v < 0 ? -(uint64_t)v : (uint64_t)v,
				   v < 0, 10, false);
			break;
		}
		case 'u':
		case 'x':
		case 'X': {
			uint64_t v = longs > 1 ?
					     va_arg(ap, unsigned long long) :
				     longs == 1 ? va_arg(ap, unsigned long) :
						  va_arg(ap, unsigned int);

			put_number(&o, &s, v, false, *f == 'u' ? 10 : 16,
				   *f == 'X');
			break;
		}
		case 'c': {
			char c[1] = { (char)va_arg(ap, int) };

			s.zero = false;
			put_padded(&o, &s, c, 1, 0);
			break;
		}
		case 's':
			put_string(&o, &s, va_arg(ap, const char *));
			break;
		case 'p':
			put_pointer(&o, &s, (uintptr_t)va_arg(ap, void *),
				    f[1] == 'S');
			f += f[1] == 'S';
			break;
		case '%':
			put(&o, '%');
			break;
		default: /* unknown: unchanged */
			if (!*f)
				f--;
			while (start <= f)
				put(&o, *start++);
			break;
		}
	}
	va_end(ap);
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
