// Streams of a state: whole ones in pieces of all sizes, cut ones, garbled ones, hostile ones.
#include "cluster/state_stream.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>

#include "base/crc32c.h"
#include "base/varint.h"
#include "cluster/errc.h"

namespace courier::cluster {
namespace {

struct Kept : StateSink {
  Result<void> on_offer(const StateOffer& one) override {
    offer = one;
    if (refuses) return fail(errc::garbled, "there is no room for it");
    return {};
  }
  Result<void> on_file(const StateFile& file) override {
    open = file.name;
    files[open];
    return {};
  }
  Result<void> on_bytes(std::string_view bytes) override {
    files[open] += bytes;
    return {};
  }
  Result<void> on_file_end() override {
    ++ended;
    return {};
  }

  StateOffer offer;
  std::map<std::string, std::string> files;
  std::string open;
  size_t ended = 0;
  bool refuses = false;
};

const std::vector<std::pair<std::string, std::string>> kFiles = {{"000012.sst", std::string(3000, 'x')},
                                                                 {"CURRENT", "MANIFEST-000004\n"},
                                                                 {"000013.log", ""},
                                                                 {"FORMAT", "f"}};

StateOffer offer_of_files() {
  StateOffer offer{"log of the test", Position(77), 4711, {}};
  for (const auto& [name, bytes] : kFiles) offer.files.push_back({name, bytes.size()});
  return offer;
}

std::string stream_of(const StateOffer& offer) {
  StateWriter writer;
  std::string stream = writer.preamble();
  stream += writer.header(offer);
  for (const auto& [name, bytes] : kFiles) {
    writer.add(std::string_view(bytes).substr(0, bytes.size() / 2));
    writer.add(std::string_view(bytes).substr(bytes.size() / 2));
    stream += bytes + writer.end_of_file();
  }
  return stream + writer.end();
}

Result<void> read_in_pieces(std::string_view stream, size_t piece, StateSink& sink) {
  StateReader reader(sink);
  for (size_t at = 0; at < stream.size(); at += piece) {
    if (Result<void> fed = reader.feed(stream.substr(at, piece)); !fed) return fed;
  }
  return reader.end();
}

TEST(StateStream, ComesInPiecesOfAnySize) {
  const std::string stream = stream_of(offer_of_files());
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{7}, size_t{1000}, stream.size()}) {
    Kept kept;
    ASSERT_TRUE(read_in_pieces(stream, piece, kept)) << piece;
    EXPECT_EQ(kept.offer, offer_of_files());
    EXPECT_EQ(kept.offer.bytes(), 3017u);
    EXPECT_EQ(kept.ended, kFiles.size());
    for (const auto& [name, bytes] : kFiles) EXPECT_EQ(kept.files[name], bytes) << name;
  }
}

// Nodes of two versions talk to each other.
TEST(StateStream, HasTheBytesThatOtherVersionsKnow) {
  std::ifstream in(SAMPLES_DIR "/state_stream_1", std::ios::binary);
  const std::string sample{std::istreambuf_iterator<char>(in), {}};
  Kept kept;
  ASSERT_TRUE(read_in_pieces(sample, 5000, kept));
  EXPECT_EQ(kept.offer,
            (StateOffer{"0123abcd",
                        Position(445),
                        136,
                        {{"000012.sst", 45}, {"CURRENT", 16}, {"000013.log", 0}, {"FORMAT", 14}}}));
  StateWriter writer;
  std::string stream = writer.preamble() + writer.header(kept.offer);
  for (const StateFile& file : kept.offer.files) {
    writer.add(kept.files[file.name]);
    stream += kept.files[file.name];
    stream += writer.end_of_file();
  }
  EXPECT_EQ(stream + writer.end(), sample);
}

TEST(StateStream, ThatIsCutIsNeverWhole) {
  const std::string stream = stream_of(offer_of_files());
  for (size_t size = 0; size < stream.size(); ++size) {
    Kept kept;
    const Result<void> read = read_in_pieces(stream.substr(0, size), 64, kept);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, errc::cut) << size;
  }
}

TEST(StateStream, ThatIsGarbledAnywhereIsRefused) {
  const std::string stream = stream_of(offer_of_files());
  for (size_t at = 0; at < stream.size(); ++at) {
    for (const uint8_t bit : {1, 128}) {
      std::string garbled = stream;
      garbled[at] = static_cast<char>(garbled[at] ^ bit);
      Kept kept;
      EXPECT_FALSE(read_in_pieces(garbled, 100, kept)) << at;
    }
  }
}

TEST(StateStream, WithMoreBehindItsEndIsRefused) {
  Kept kept;
  EXPECT_FALSE(read_in_pieces(stream_of(offer_of_files()) + "!", 5000, kept));
}

TEST(StateStream, OfANewerCourierIsToldApart) {
  std::string stream = stream_of(offer_of_files());
  stream[8] = 2;
  Kept kept;
  const Result<void> read = read_in_pieces(stream, 5000, kept);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, errc::newer_format);
}

TEST(StateStream, TakesPlainNamesOnlyAndEachOnce) {
  for (const char* const name :
       {"", ".", "..", ".hidden", "../FORMAT", "db/CURRENT", "/etc/passwd", "a b", "a\n", "FORMAT\xC3\xA4"}) {
    StateOffer offer = offer_of_files();
    offer.files[0].name = name;
    Kept kept;
    EXPECT_FALSE(read_in_pieces(stream_of(offer), 5000, kept)) << name;
    EXPECT_TRUE(kept.offer.log_id.empty()) << "told of a hostile offer";
  }
  StateOffer with_nul = offer_of_files(), twice = offer_of_files(), long_name = offer_of_files();
  with_nul.files[0].name = std::string("a\0b", 3);
  twice.files[0].name = twice.files[1].name;
  long_name.files[0].name = std::string(kStateNameBytesMax + 1, 'a');
  for (const StateOffer& offer : {with_nul, twice, long_name}) {
    Kept kept;
    EXPECT_FALSE(read_in_pieces(stream_of(offer), 5000, kept));
  }
}

TEST(StateStream, BelievesNoNumbers) {
  StateOffer offer = offer_of_files();
  offer.files[0].size = UINT64_MAX;  // the sum overflows
  Kept kept;
  EXPECT_FALSE(read_in_pieces(stream_of(offer), 5000, kept));
  // A header that claims to be long is refused before it comes; one that claims many files, when it does.
  Kept none;
  EXPECT_FALSE(read_in_pieces(std::string("courierS\1\xFF\xFF\xFF\x7F", 13), 5000, none));
  std::string header("\0\0\0", 3);
  put_varint(header, UINT64_MAX);
  std::string stream("courierS\1", 9);
  stream += std::string{static_cast<char>(header.size()), 0, 0, 0};
  EXPECT_FALSE(read_in_pieces(stream + header, 5000, none));
}

TEST(StateStream, EndsWhereTheSinkRefuses) {
  Kept kept;
  kept.refuses = true;
  const Result<void> read = read_in_pieces(stream_of(offer_of_files()), 5000, kept);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message, "there is no room for it");
  EXPECT_TRUE(kept.files.empty());
}

}  // namespace
}  // namespace courier::cluster
