// CRC32C (Castagnoli, reflected polynomial 0x82f63b78).
//
// Notation: registers are bit-reflected, so bit 31 of a 32-bit register is the coefficient of x^0. Appending n zero
// bytes to a message multiplies its register by x^(8n) modulo the polynomial; everything that joins checksums here is
// that multiplication by a constant from a table.

#include "CChecksums.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#define HARDWARE __attribute__((target("sse4.2,pclmul")))
#elif defined(__aarch64__)
#include <arm_acle.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#define HARDWARE __attribute__((target("crc")))
#endif

#define POLYNOMIAL 0x82f63b78u
// Words (8 bytes) per stream and round: three streams of 4 KiB stay in the first-level cache.
#define MAXIMUM_STREAM_WORDS 512
// Below this, joining three streams costs more than it saves.
#define MINIMUM_STREAM_WORDS 8
// The product of two reflected registers by carry-less multiplication, fed to the CRC instruction, comes out
// multiplied by x^33; the constants for that path are divided by it. x has order 2^31 - 1 here.
#define PRODUCT_EXCESS 33
#define ORDER_OF_X 0x7fffffffull

typedef uint32_t (*checksum_function)(uint32_t, const void *, size_t);
typedef uint32_t (*shift_function)(uint32_t, uint64_t);

static uint32_t slices[8][256];
// powers[i][b] = x^(8 * b * 256^i): four lookups multiply to the operator of any 32-bit length.
static uint32_t powers[8][256];
static uint32_t divided_powers[8][256];
// stream_constants[w] = x^(64 w - 33)
static uint32_t stream_constants[2 * MAXIMUM_STREAM_WORDS + 1];

static uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
    product ^= b & (0u - (uint32_t)((a & bit) != 0));
    b = (b >> 1) ^ (POLYNOMIAL & (0u - (b & 1)));
  }
  return product;
}

static uint32_t x_to_the(uint64_t exponent) {
  uint32_t result = 0x80000000u;
  uint32_t base = 0x40000000u;
  for (exponent %= ORDER_OF_X; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

static uint32_t shift_software(uint32_t crc, uint64_t length) {
  for (int i = 0; length != 0; i++, length >>= 8) {
    if (length & 0xff) crc = multiply(crc, powers[i][length & 0xff]);
  }
  return crc;
}

static inline uint64_t load64(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

static uint32_t checksum_software(uint32_t crc, const void *data, size_t length) {
  const uint8_t *bytes = data;
  crc = ~crc;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t word = load64(bytes) ^ crc;
    crc = slices[7][word & 0xff] ^ slices[6][(word >> 8) & 0xff] ^ slices[5][(word >> 16) & 0xff] ^
          slices[4][(word >> 24) & 0xff] ^ slices[3][(word >> 32) & 0xff] ^ slices[2][(word >> 40) & 0xff] ^
          slices[1][(word >> 48) & 0xff] ^ slices[0][word >> 56];
  }
#endif
  for (; length != 0; bytes++, length--) crc = slices[0][(crc ^ *bytes) & 0xff] ^ (crc >> 8);
  return ~crc;
}

#if defined(HARDWARE)

#if defined(__x86_64__)
#define STEP64(crc, word) ((uint32_t)_mm_crc32_u64((crc), (word)))
#define STEP8(crc, byte) _mm_crc32_u8((crc), (byte))

// a * b * x^33 modulo the polynomial.
HARDWARE static inline uint32_t multiply_hardware(uint32_t a, uint32_t b) {
  __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)a), _mm_cvtsi32_si128((int)b), 0);
  return STEP64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

HARDWARE static uint32_t shift_hardware(uint32_t crc, uint64_t length) {
  for (int i = 0; length != 0; i++, length >>= 8) {
    if (length & 0xff) crc = multiply_hardware(crc, divided_powers[i][length & 0xff]);
  }
  return crc;
}

HARDWARE static inline uint32_t shift_words(uint32_t crc, size_t words) {
  return multiply_hardware(crc, stream_constants[words]);
}
#else
#define STEP64(crc, word) __crc32cd((crc), (word))
#define STEP8(crc, byte) __crc32cb((crc), (byte))

static inline uint32_t shift_words(uint32_t crc, size_t words) { return shift_software(crc, words * 8); }
#endif

// The instruction takes a word per cycle but answers after three: three streams side by side keep it busy.
HARDWARE static uint32_t checksum_hardware(uint32_t crc, const void *data, size_t length) {
  const uint8_t *bytes = data;
  crc = ~crc;
  while (length >= 3 * 8 * MINIMUM_STREAM_WORDS) {
    size_t words = length / 24;
    if (words > MAXIMUM_STREAM_WORDS) words = MAXIMUM_STREAM_WORDS;
    const uint8_t *second = bytes + words * 8;
    const uint8_t *third = second + words * 8;
    uint32_t crc2 = 0, crc3 = 0;
    for (size_t i = 0; i < words * 8; i += 8) {
      crc = STEP64(crc, load64(bytes + i));
      crc2 = STEP64(crc2, load64(second + i));
      crc3 = STEP64(crc3, load64(third + i));
    }
    crc = shift_words(crc, 2 * words) ^ shift_words(crc2, words) ^ crc3;
    bytes = third + words * 8;
    length -= words * 24;
  }
  for (; length >= 8; bytes += 8, length -= 8) crc = STEP64(crc, load64(bytes));
  for (; length != 0; bytes++, length--) crc = STEP8(crc, *bytes);
  return ~crc;
}

#endif

static checksum_function chosen_checksum = checksum_software;
static shift_function chosen_shift = shift_software;
static const char *chosen_name = "software";

// Before main, so that no call has to ask whether the tables are ready.
__attribute__((constructor)) static void prepare(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (POLYNOMIAL & (0u - (crc & 1)));
    slices[0][byte] = crc;
  }
  for (int slice = 1; slice < 8; slice++) {
    for (int byte = 0; byte < 256; byte++) {
      uint32_t crc = slices[slice - 1][byte];
      slices[slice][byte] = slices[0][crc & 0xff] ^ (crc >> 8);
    }
  }
  uint32_t inverse_excess = x_to_the(ORDER_OF_X - PRODUCT_EXCESS);
  uint32_t step = x_to_the(8);
  for (int i = 0; i < 8; i++) {
    uint32_t power = 0x80000000u;
    for (int byte = 0; byte < 256; byte++) {
      powers[i][byte] = power;
      divided_powers[i][byte] = multiply(power, inverse_excess);
      power = multiply(power, step);
    }
    step = power;
  }
  uint32_t word = x_to_the(64);
  uint32_t constant = inverse_excess;
  for (int words = 0; words <= 2 * MAXIMUM_STREAM_WORDS; words++) {
    stream_constants[words] = constant;
    constant = multiply(constant, word);
  }
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul")) {
    chosen_checksum = checksum_hardware;
    chosen_shift = shift_hardware;
    chosen_name = "sse4.2+pclmul";
  }
#elif defined(__aarch64__)
#if defined(__linux__)
  // Bit 7 of the hardware capabilities is the CRC32 extension.
  int supported = (getauxval(AT_HWCAP) & (1 << 7)) != 0;
#else
  int supported = 1;
#endif
  if (supported) {
    chosen_checksum = checksum_hardware;
    chosen_name = "arm64+crc";
  }
#endif
}

uint32_t meridian_crc32c(uint32_t crc, const void *bytes, size_t length) {
  return chosen_checksum(crc, bytes, length);
}

uint32_t meridian_crc32c_software(uint32_t crc, const void *bytes, size_t length) {
  return checksum_software(crc, bytes, length);
}

uint32_t meridian_crc32c_shift(uint32_t crc, uint64_t length) { return chosen_shift(crc, length); }

const char *meridian_crc32c_implementation(void) { return chosen_name; }
