/*
 * Formatted output: the formatter (portable) and nothing else. The console with
 * its lock is kernel/debug/console.c. Owns no data; any context.
 */
#include "kernel/lib/printf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernel/debug/symbols.h"

struct out {
	char *buf;
	size_t size;
	size_t len; /* what it would have been without the limit */
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
	int pad = s->width - len;

	if (!s->left && !s->zero)
		while (pad-- > 0)
			put(o, ' ');
	for (int i = 0; i < sign_len; i++)
		put(o, body[i]);
	if (!s->left && s->zero)
		while (pad-- > 0)
			put(o, '0');
	for (int i = sign_len; i < len; i++)
		put(o, body[i]);
	if (s->left)
		while (pad-- > 0)
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
	size_t len = 0;

	if (!str)
		str = "(null)";
	while ((s->precision < 0 || len < (size_t)s->precision) && str[len])
		len++;
	s->zero = false;
	put_padded(o, s, str, (int)len, 0);
}

static void put_symbol(struct out *o, struct spec *s, uintptr_t addr)
{
	char text[80];
	uint32_t off;
	const char *name = symbol_lookup(addr, &off);

	if (name)
		ksnprintf(text, sizeof(text), "%s+0x%x", name,
			  (unsigned int)off);
	else
		ksnprintf(text, sizeof(text), "0x%08x", (unsigned int)addr);
	put_string(o, s, text);
}

static const char *parse_flags(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){ .precision = -1 };
	for (; *f == '-' || *f == '0'; f++) {
		if (*f == '-')
			s->left = true;
		else
			s->zero = true;
	}
	if (*f == '*') {
		s->width = va_arg(*ap, int);
		if (s->width < 0) {
			s->left = true;
			s->width = -s->width;
		}
		f++;
	} else {
		while (*f >= '0' && *f <= '9')
			s->width = s->width * 10 + (*f++ - '0');
	}
	if (*f == '.') {
		s->precision = 0;
		f++;
		if (*f == '*') {
			s->precision = va_arg(*ap, int);
			f++;
		} else {
			while (*f >= '0' && *f <= '9')
				s->precision = s->precision * 10 + (*f++ - '0');
		}
	}
	if (s->left)
		s->zero = false;
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
			char c = (char)va_arg(ap, int);

			s.zero = false;
			put_padded(&o, &s, &c, 1, 0);
			break;
		}
		case 's':
			put_string(&o, &s, va_arg(ap, const char *));
			break;
		case 'p':
			if (f[1] == 'S') {
				put_symbol(&o, &s,
					   (uintptr_t)va_arg(ap, void *));
				f++;
			} else {
				uintptr_t v = (uintptr_t)va_arg(ap, void *);

				put(&o, '0');
				put(&o, 'x');
				s = (struct spec){ .zero = true, .width = 8 };
				put_number(&o, &s, v, false, 16, false);
			}
			break;
		case '%':
			put(&o, '%');
			break;
		default: /* unknown: as it stands */
			while (start < f)
				put(&o, *start++);
			if (!*f)
				f--;
			else
				put(&o, *f);
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
