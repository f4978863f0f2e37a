import Foundation

/// Disks on which a sync takes long, for as long as a file says so: a library that is loaded before the bookie's own and
/// delays its syncs. The bookie itself knows nothing of it.
final class SlowDisks: Sendable {
  private static let source = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <time.h>
    static void delay(void) {
      const char *path = getenv("SLOW_DISK_FILE");
      FILE *file = path ? fopen(path, "re") : NULL;
      long milliseconds = 0;
      if (!file) return;
      if (fscanf(file, "%ld", &milliseconds) != 1) milliseconds = 0;
      fclose(file);
      struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
      nanosleep(&time, NULL);
    }
    int fdatasync(int file) {
      delay();
      return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
    }
    int fsync(int file) {
      delay();
      return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
    }
    """

  private let root: String
  private var library: String { root + "/slow-disk.so" }

  /// Makes the library in `root`; nil where nothing compiles C.
  init?(root: String) {
    self.root = root
    let source = root + "/slow-disk.c"
    guard (try? Self.source.write(toFile: source, atomically: true, encoding: .utf8)) != nil else { return nil }
    guard ["cc", "clang"].contains(where: { Self.compile($0, source, library) }) else { return nil }
  }

  /// What the process at a place is started with.
  func environment(place: Int) -> [String: String] {
    ["LD_PRELOAD": library, "SLOW_DISK_FILE": file(place)]
  }

  /// From now on each sync takes so much longer.
  func slow(_ place: Int, milliseconds: Int) {
    try? "\(milliseconds)".write(toFile: file(place), atomically: true, encoding: .utf8)
  }

  func restore(_ place: Int) { try? FileManager.default.removeItem(atPath: file(place)) }

  private func file(_ place: Int) -> String { root + "/place-\(place + 1).slow" }

  private static func compile(_ compiler: String, _ source: String, _ library: String) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}
