#include "auth/file/password_file.h"
#include "auth/file/cheap_cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "auth/file/errc.h"

namespace courier::auth::file {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kHash =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

class PasswordFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "courier_passwd_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ / "passwd";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }
  std::string text() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  mode_t mode() const {
    struct stat status {};
    EXPECT_EQ(::stat(path_.c_str(), &status), 0);
    return status.st_mode & 07777;
  }
  size_t files_in_folder() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::filesystem::path folder_, path_;
};

TEST(Users, ReadsNamesAndHashesAndSkipsComments) {
  const auto users =
      Users::parse(std::string("# phones\r\n\r\nalice:") + kHash + "\r\nbob b:" + kHash, "passwd");
  ASSERT_TRUE(users) << users.error().message;
  EXPECT_EQ(users->size(), 2u);
  ASSERT_NE(users->find("alice"), nullptr);
  EXPECT_EQ(*users->find("bob b"), kHash);
  EXPECT_EQ(users->find("carol"), nullptr);
  EXPECT_EQ(users->find(""), nullptr);
  EXPECT_EQ(users->find("# phones"), nullptr);
  EXPECT_EQ(users->memory_kib_max(), 65'536u);
}

TEST(Users, ABadLineIsNamedByItsNumberWithoutItsHash) {
  const auto error = [](const std::string& text) {
    const auto users = Users::parse(text, "passwd");
    EXPECT_FALSE(users) << text;
    return users ? "" : users.error().message;
  };
  const std::string good = std::string("alice:") + kHash + "\n";
  EXPECT_EQ(error(good + "bob\n"), "passwd: line 2: it is not USER:HASH");
  EXPECT_EQ(error(":x\n"), "passwd: line 1: it is not USER:HASH");
  EXPECT_EQ(error(good + good), "passwd: line 2: this user stood before");
  EXPECT_THAT(error("\nbob:plaintext-password\n"),
              StartsWith("passwd: line 2: the hash does not start with"));
  EXPECT_THAT(error("bob:plaintext-password\n"), Not(HasSubstr("plaintext")));
  EXPECT_THAT(error(std::string("b\x01:") + kHash), HasSubstr("line 1: a user name has"));
}

TEST(Users, AnUnknownNameGetsTheCostOfAKnownOne) {
  const auto empty = Users::parse("", "passwd");
  ASSERT_TRUE(empty);
  EXPECT_EQ(parse_hash(empty->stand_in("x")).value(), Cost());
  EXPECT_EQ(matches(empty->stand_in("x"), "x"), Match::no);  // it is well formed: the work is really done

  const auto cheap = hash_password("x", kCheap);
  ASSERT_TRUE(cheap);
  const auto users = Users::parse(std::string("a:") + kHash + "\nb:" + *cheap + "\n", "passwd");
  ASSERT_TRUE(users);
  bool seen_dear = false, seen_cheap = false;
  for (int i = 0; i < 64; ++i) {
    const std::string name = "unknown" + std::to_string(i);
    const Cost cost = parse_hash(users->stand_in(name)).value();
    EXPECT_EQ(cost, parse_hash(users->stand_in(name)).value());
    seen_dear = seen_dear || cost == Cost{65'536, 2, 1};
    seen_cheap = seen_cheap || cost == kCheap;
  }
  EXPECT_TRUE(seen_dear);
  EXPECT_TRUE(seen_cheap);
}

TEST_F(PasswordFile, AddsReplacesAndDeletesAndKeepsEverythingElse) {
  ASSERT_TRUE(set_password(path_, "alice", "one", kCheap));
  EXPECT_EQ(mode(), 0600u);
  write("# phones\n" + text() + "\n# end");
  ASSERT_TRUE(set_password(path_, "bob", "two", kCheap));
  ASSERT_TRUE(set_password(path_, "alice", "three", kCheap));
  EXPECT_THAT(list_users(path_).value(), ElementsAre("alice", "bob"));
  EXPECT_THAT(text(), StartsWith("# phones\nalice:$argon2id$"));
  EXPECT_THAT(text(), HasSubstr("\n\n# end\nbob:$argon2id$"));

  auto users = Users::read(path_);
  ASSERT_TRUE(users) << users.error().message;
  EXPECT_EQ(matches(*users->find("alice"), "three"), Match::yes);
  EXPECT_EQ(matches(*users->find("alice"), "one"), Match::no);

  EXPECT_EQ(delete_user(path_, "alice").value(), true);
  const std::string before = text();
  EXPECT_EQ(delete_user(path_, "alice").value(), false);
  EXPECT_EQ(text(), before);
  EXPECT_THAT(list_users(path_).value(), ElementsAre("bob"));
  EXPECT_THAT(before, HasSubstr("# phones\n"));
  EXPECT_EQ(files_in_folder(), 1u);  // no temporary file stays behind
}

TEST_F(PasswordFile, KeepsTheModeForOwnerAndGroupAndFollowsALink) {
  write("");
  ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
  const auto link = folder_ / "link";
  std::filesystem::create_symlink(path_, link);
  ASSERT_TRUE(set_password(link, "alice", "one", kCheap));
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(mode(), 0640u);
  EXPECT_THAT(list_users(path_).value(), ElementsAre("alice"));
}

TEST_F(PasswordFile, NamesThatCannotStandInALineAreRefused) {
  for (const std::string& name : {std::string(), std::string("a:b"), std::string("a\nb"), std::string("#a"),
                                  std::string("a\0b", 3), std::string(1025, 'x')}) {
    EXPECT_EQ(set_password(path_, name, "x", kCheap).error().code, errc::bad_user_name);
  }
  EXPECT_EQ(set_password(path_, "alice", "", kCheap).error().code, errc::bad_password);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(PasswordFile, AFileThatCannotBeReadOrWrittenIsLeftAlone) {
  EXPECT_EQ(Users::read(path_).error().code, errc::unreadable);
  EXPECT_EQ(Users::read(folder_).error().code, errc::unreadable);
  EXPECT_EQ(list_users(path_).error().code, errc::unreadable);
  EXPECT_EQ(set_password((folder_ / "no" / "where").string(), "a", "x", kCheap).error().code,
            errc::unwritable);
  write("this is not a password file\n");
  const auto result = set_password(path_, "alice", "x", kCheap);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, errc::invalid);
  EXPECT_THAT(result.error().message, HasSubstr("passwd: line 1: "));
  EXPECT_EQ(text(), "this is not a password file\n");
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(PasswordFile, EditorsAtTheSameTimeDoNotUndoEachOther) {
  std::vector<std::jthread> editors;
  for (int t = 0; t < 4; ++t) {
    editors.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(set_password(path_, "user" + std::to_string(t) + "-" + std::to_string(i), "x", kCheap));
      }
    });
  }
  editors.clear();
  EXPECT_EQ(list_users(path_).value().size(), 20u);
  EXPECT_EQ(files_in_folder(), 1u);
}

}  // namespace
}  // namespace courier::auth::file
