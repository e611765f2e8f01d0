#include "events/catalogue/catalogue.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "events/catalogue/schema.h"

namespace courier::events {
namespace {

std::string file(const std::string& path) {
  std::ifstream in(path);
  std::stringstream content;
  content << in.rdbuf();
  return content.str();
}

TEST(Catalogue, NamesAreUniqueAndFoundAgain) {
  std::set<std::string_view> names;
  for (const KindInfo& each : kinds()) {
    EXPECT_TRUE(names.insert(each.name).second) << each.name;
    EXPECT_EQ(kind_of(each.name), each.kind);
    EXPECT_EQ(kind_of(static_cast<uint8_t>(each.kind)), each.kind);
    EXPECT_EQ(&info(each.kind), &each);
    EXPECT_TRUE(Kinds::all().has(each.kind));
  }
  for (const FieldInfo& each : fields()) {
    EXPECT_TRUE(names.insert(each.name).second || each.field == Field::kind) << each.name;
    EXPECT_EQ(find_field(static_cast<uint32_t>(each.field)), &each);
  }
  EXPECT_EQ(kind_of("no_such"), std::nullopt);
  EXPECT_EQ(kind_of(uint8_t{0}), std::nullopt);
  EXPECT_EQ(kind_of(static_cast<uint8_t>(kKindCount + 1)), std::nullopt);
  EXPECT_EQ(find_field(0), nullptr);
  EXPECT_EQ(find_field(kFieldCount + 1), nullptr);
}

TEST(Catalogue, NoKindNamesAFieldTwiceAndEveryFieldBelongsToOne) {
  std::set<Field> used{Field::id, Field::kind, Field::time_ns, Field::node, Field::best_effort};
  for (const KindInfo& each : kinds()) {
    std::set<Field> own;
    for (const Field field : each.fields) EXPECT_TRUE(own.insert(field).second) << each.name;
    used.merge(own);
  }
  EXPECT_EQ(used.size(), fields().size());
}

TEST(Catalogue, ASetOfKindsHasWhatWasPutIn) {
  Kinds set;
  EXPECT_TRUE(set.empty());
  set |= Kinds::of(Kind::drop);
  EXPECT_TRUE(set.has(Kind::drop));
  EXPECT_FALSE(set.has(Kind::publish));
}

// Whoever changes the catalogue writes them anew: `courier events schema` prints the first.
TEST(Schema, TheFilesInTheRepositoryAreOfThisCatalogue) {
  const std::string folder = std::filesystem::path(SAMPLES_DIR).parent_path();
  EXPECT_EQ(file(folder + "/event.proto"), protobuf_schema());
  const std::string docs = file(folder + "/../../../docs/operations/events.md");
  EXPECT_NE(docs.find(markdown_tables()), std::string::npos)
      << "docs/operations/events.md does not have these tables:\n"
      << markdown_tables();
}

}  // namespace
}  // namespace courier::events
