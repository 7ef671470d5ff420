/*
 * Error numbers, negative in every return value. The numbers are Linux's.
 * (newlib's errno.h is not used: its errno is one global for all cores.)
 */
#pragma once

#define EPERM	  1
#define ENOENT	  2
#define EINTR	  4
#define EIO	  5
#define EAGAIN	  11
#define ENOMEM	  12
#define EBUSY	  16
#define EEXIST	  17
#define ENODEV	  19
#define EINVAL	  22
#define ETIMEDOUT 110
