#ifndef MERIDIAN_CCHECKSUMS_H
#define MERIDIAN_CCHECKSUMS_H

#include <stddef.h>
#include <stdint.h>

/// CRC32C of `length` bytes, continuing from `crc` (0 to begin). Standard values in and out.
uint32_t meridian_crc32c(uint32_t crc, const void *_Nullable bytes, size_t length);

/// The same without instructions for it: the fallback, and the yardstick of the tests.
uint32_t meridian_crc32c_software(uint32_t crc, const void *_Nullable bytes, size_t length);

/// What `crc`'s register becomes when `length` zero bytes follow: the operator behind combining checksums.
uint32_t meridian_crc32c_shift(uint32_t crc, uint64_t length);

/// Name of the implementation that the processor got: "sse4.2+pclmul", "arm64+crc" or "software".
const char *_Nonnull meridian_crc32c_implementation(void);

#endif
