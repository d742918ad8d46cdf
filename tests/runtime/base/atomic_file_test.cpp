#include "base/atomic_file.h"

#include <sys/stat.h>

#include <array>

#include "support/files.h"

namespace onnxrun::testing {
namespace {

TEST(AtomicFile, AppearsOnCommit) {
  TempDir dir;
  std::string big(1 << 20, 'x');
  {
    AtomicFile file(dir / "a");
    file.write("start ");
    file.write(big);
    file.write(" end");
    EXPECT_EQ(file.position(), static_cast<int64_t>(big.size()) + 10);
    EXPECT_FALSE(std::filesystem::exists(dir / "a"));
    file.commit();
  }
  EXPECT_EQ(file_bytes(dir / "a"), "start " + big + " end");
  EXPECT_EQ(dir.count(), 1u);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  TempDir dir;
  dir.write("a", "old");
  {
    AtomicFile file(dir / "a");
    file.write("new");
  }
  EXPECT_EQ(file_bytes(dir / "a"), "old");
  EXPECT_EQ(dir.count(), 1u);
}

TEST(AtomicFile, PatchesAtOffsets) {
  TempDir dir;
  AtomicFile file(dir / "a");
  file.write("0123456789");
  file.write_at(2, std::as_bytes(std::span("ab", 2)));
  file.write("x");
  file.write_at(12, std::as_bytes(std::span("z", 1)));
  file.commit();
  EXPECT_EQ(file_bytes(dir / "a"), std::string("01ab456789x\0z", 13));
}

TEST(AtomicFile, KeepsTheModeAndFollowsLinks) {
  TempDir dir;
  dir.write("real", "old");
  ::chmod((dir / "real").c_str(), 0640);
  std::filesystem::create_symlink("real", dir / "link");
  write_file(dir / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
  EXPECT_EQ(file_bytes(dir / "real"), "new");
  struct stat info {};
  ::stat((dir / "real").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST(AtomicFile, WritesThroughDevices) {
  write_file("/dev/null", "gone");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

// A disk that is full, and a name that cannot be replaced: the files before it stay what they were.
TEST(AtomicFile, FilesThatBelongTogetherAreAllReplacedOrNone) {
  TempDir dir;
  dir.write("a", "old a");
  {
    AtomicFile a(dir / "a"), full("/dev/full");
    a.write("new a");
    full.write("x");
    expect_fails(ErrorKind::CannotWrite, "No space left", [&] {
      AtomicFile::commit(std::array{&a, &full});
    });
  }
  EXPECT_EQ(file_bytes(dir / "a"), "old a");
  {
    AtomicFile a(dir / "a"), fresh(dir / "fresh"), b(dir / "b");
    for (AtomicFile* file : {&a, &fresh, &b}) file->write("new");
    std::filesystem::create_directory(dir / "b");
    expect_fails(ErrorKind::CannotWrite, "cannot replace", [&] {
      AtomicFile::commit(std::array{&a, &fresh, &b});
    });
  }
  EXPECT_EQ(file_bytes(dir / "a"), "old a");
  EXPECT_EQ(dir.count(), 2u);  // a and the folder b
  AtomicFile a(dir / "a"), fresh(dir / "fresh");
  a.write("new a");
  fresh.write("new");
  AtomicFile::commit(std::array{&a, &fresh});
  EXPECT_EQ(file_bytes(dir / "a") + file_bytes(dir / "fresh"), "new anew");
  EXPECT_EQ(dir.count(), 3u);
}

TEST(AtomicFile, SaysWhatItCannotWrite) {
  TempDir dir;
  expect_fails(ErrorKind::CannotWrite, "cannot write '" + (dir / "no/a") + "': No such file",
               [&] { AtomicFile(dir / "no/a"); });
  expect_fails(ErrorKind::CannotWrite, "it is a directory", [&] { AtomicFile(dir / ""); });
  expect_fails(ErrorKind::CannotWrite, "No space left", [] { write_file("/dev/full", "x"); });
  expect_fails(ErrorKind::CannotWrite, "cannot write ''", [] { AtomicFile(""); });
  write_file(dir / std::string(250, 'n'), "a long name");
}

}  // namespace
}  // namespace onnxrun::testing
