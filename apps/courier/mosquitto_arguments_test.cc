#include "courier/mosquitto_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace courier::cli {
namespace {

using testing::ElementsAre;

TEST(MosquittoArguments, AValueMayBeginWithADash) {
  EXPECT_THAT(join_arguments({"pub", "-m", "-x", "-t", "a"}), ElementsAre("pub", "-m-x", "-t", "a"));
  EXPECT_THAT(join_arguments({"pub", "--will-payload", "--y"}), ElementsAre("pub", "--will-payload=--y"));
  EXPECT_THAT(join_arguments({"sub", "-F", "-", "-m"}), ElementsAre("sub", "-F", "-", "-m"));
}

TEST(MosquittoArguments, APropertyTakesThreeWordsOrFour) {
  EXPECT_THAT(join_arguments({"pub", "-D", "publish", "content-type", "-x", "-q", "1"}),
              ElementsAre("pub",
                          "--property=publish\x1f"
                          "content-type\x1f-x",
                          "-q", "1"));
  EXPECT_THAT(join_arguments({"pub", "-D", "publish", "user-property", "k", "v", "-n"}),
              ElementsAre("pub", "--property=publish\x1fuser-property\x1fk\x1fv", "-n"));
}

TEST(MosquittoArguments, OtherCommandsAreLeftAlone) {
  EXPECT_THAT(join_arguments({"config", "-D", "a", "b", "c"}), ElementsAre("config", "-D", "a", "b", "c"));
  EXPECT_THAT(join_arguments({}), ElementsAre());
}

}  // namespace
}  // namespace courier::cli
