// Any bytes as the state that a peer sends: in one piece and in many, which must come to the same; the sink
// is told nothing that its own promises forbid.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "cluster/state_stream.h"

using namespace courier;
using namespace courier::cluster;

namespace {

struct Told : StateSink {
  Result<void> on_offer(const StateOffer& one) override {
    CHECK(one.files.size() <= kStateFilesMax);
    offer = one;
    return {};
  }
  Result<void> on_file(const StateFile& file) override {
    CHECK(files < offer.files.size() && offer.files[files] == file);
    CHECK(!file.name.empty() && file.name.find('/') == std::string::npos && file.name[0] != '.');
    left = file.size;
    return {};
  }
  Result<void> on_bytes(std::string_view bytes) override {
    CHECK(!bytes.empty() && bytes.size() <= left);
    left -= bytes.size();
    came += bytes;
    return {};
  }
  Result<void> on_file_end() override {
    CHECK(left == 0);
    ++files;
    return {};
  }

  StateOffer offer;
  std::string came;
  size_t files = 0;
  uint64_t left = 0;
};

bool read(std::string_view bytes, size_t piece, Told& told) {
  StateReader reader(told);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    if (!reader.feed(bytes.substr(0, piece))) return false;
  }
  return reader.end().has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Told once, often;
  const bool whole = read(bytes, size + 1, once);
  CHECK(read(bytes, 3, often) == whole);
  CHECK(once.offer == often.offer && once.came == often.came && once.files == often.files);
  if (!whole) return 0;
  CHECK(once.files == once.offer.files.size() && once.came.size() == once.offer.bytes());
  StateWriter writer;
  std::string again = writer.preamble() + writer.header(once.offer);
  std::string_view left = once.came;
  for (const StateFile& file : once.offer.files) {
    writer.add(left.substr(0, file.size));
    again += left.substr(0, file.size);
    again += writer.end_of_file();
    left.remove_prefix(file.size);
  }
  CHECK(again + writer.end() == bytes);
  return 0;
}
