#ifndef MERIDIAN_CCHECKSUMS_H
#define MERIDIAN_CCHECKSUMS_H

#include <stddef.h>
#include <stdint.h>

#endif
