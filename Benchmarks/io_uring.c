// Ways of making one write durable, among them io_uring's, on one disk in one run: they take turns, so that whatever else the
// machine does falls on all of them. The journal uses the fastest that is safe; see docs/performance.md.
//
//   make bench-io-uring DIRECTORY=/data SIZE=131072 COUNT=600

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum way { PWRITE_FDATASYNC, PWRITE_DSYNC, URING_DSYNC, URING_LINKED, WAYS };

static const char *names[WAYS] = {
    "O_DIRECT, pwrite and fdatasync",
    "O_DIRECT and O_DSYNC, pwrite",
    "io_uring, write with RWF_DSYNC",
    "io_uring, write and linked fdatasync",
};

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// A file whose space was written with zeros before, as that of a journal.
static int prepare(const char *directory, enum way way, void *block, size_t size, int count) {
  char path[4096];
  snprintf(path, sizeof path, "%s/.io-uring-%d-%d", directory, getpid(), way);
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | (way == PWRITE_DSYNC ? O_DSYNC : 0), 0600);
  if (file < 0) die(path);
  for (int i = 0; i < count; i++)
    if (pwrite(file, block, size, (off_t)i * (off_t)size) != (ssize_t)size) die("pwrite");
  if (fsync(file) != 0) die("fsync");
  unlink(path);
  return file;
}

static void finish(struct io_uring *ring, int operations) {
  if (io_uring_submit_and_wait(ring, (unsigned)operations) < 0) die("io_uring_submit_and_wait");
  for (int i = 0; i < operations; i++) {
    struct io_uring_cqe *done;
    if (io_uring_wait_cqe(ring, &done) < 0) die("io_uring_wait_cqe");
    if (done->res < 0) {
      errno = -done->res;
      die("io_uring");
    }
    io_uring_cqe_seen(ring, done);
  }
}

static double once(enum way way, struct io_uring *ring, int file, void *block, size_t size, off_t offset) {
  double start = now();
  struct io_uring_sqe *write_entry, *sync_entry;
  switch (way) {
  case PWRITE_FDATASYNC:
    if (pwrite(file, block, size, offset) != (ssize_t)size || fdatasync(file) != 0) die("pwrite, fdatasync");
    break;
  case PWRITE_DSYNC:
    if (pwrite(file, block, size, offset) != (ssize_t)size) die("pwrite");
    break;
  case URING_DSYNC:
    write_entry = io_uring_get_sqe(ring);
    io_uring_prep_write(write_entry, file, block, (unsigned)size, (unsigned long long)offset);
    write_entry->rw_flags = RWF_DSYNC;
    finish(ring, 1);
    break;
  case URING_LINKED:
    write_entry = io_uring_get_sqe(ring);
    io_uring_prep_write(write_entry, file, block, (unsigned)size, (unsigned long long)offset);
    write_entry->flags |= IOSQE_IO_LINK;
    sync_entry = io_uring_get_sqe(ring);
    io_uring_prep_fsync(sync_entry, file, IORING_FSYNC_DATASYNC);
    finish(ring, 2);
    break;
  default:
    break;
  }
  return now() - start;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s directory [bytes of a write, 131072] [writes, 600]\n", argv[0]);
    return 2;
  }
  size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 131072;
  int count = argc > 3 ? atoi(argv[3]) : 600;
  if (size == 0 || size % 4096 != 0 || count < 20) {
    fprintf(stderr, "the bytes of a write must be a multiple of 4096, and there must be 20 writes or more\n");
    return 2;
  }
  void *block;
  if (posix_memalign(&block, 4096, size) != 0) die("memory");
  memset(block, 0, size);
  struct io_uring ring;
  int failure = io_uring_queue_init(8, &ring, 0);
  if (failure < 0) {
    errno = -failure;
    die("io_uring_queue_init");
  }
  int files[WAYS];
  double *times[WAYS];
  for (enum way way = 0; way < WAYS; way++) {
    files[way] = prepare(argv[1], way, block, size, count);
    times[way] = calloc((size_t)count, sizeof(double));
    if (times[way] == NULL) die("memory");
  }
  memset(block, 0x5a, size);
  for (int i = 0; i < count; i++)
    for (enum way way = 0; way < WAYS; way++)
      times[way][i] = once(way, &ring, files[way], block, size, (off_t)i * (off_t)size);
  printf("each synced write %zu bytes, %d of them, microseconds\n", size, count);
  for (enum way way = 0; way < WAYS; way++) {
    qsort(times[way], (size_t)count, sizeof(double), by_size);
    printf("%-38s p25 %8.0f  p50 %8.0f  p99 %8.0f\n", names[way], times[way][count / 4], times[way][count / 2],
           times[way][count * 99 / 100]);
  }
  io_uring_queue_exit(&ring);
  return 0;
}
