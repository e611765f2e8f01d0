#include "auth/file/scram.h"

#include <gtest/gtest.h>

#include "auth/file/errc.h"

namespace courier::auth::file {
namespace {

// RFC 7677, section 3: user "user", password "pencil".
constexpr char kClientNonce[] = "rOprNGfwEbeRWgbNEkqO";
constexpr char kServerNonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr char kFirst[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr char kFinal[] =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
// Of that password, with the RFC's salt and iterations.
constexpr char kLine[] =
    "$scram-sha-256$i=4096,s=W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

ScramServer server(bool known = true, std::string_view line = kLine) {
  auto first = parse_scram_first(kFirst);
  EXPECT_TRUE(first) << first.error().message;
  auto keys = parse_scram(line);
  EXPECT_TRUE(keys) << keys.error().message;
  return {*first, *keys, known, kServerNonce};
}

TEST(Scram, ExchangeIsThatOfTheRfc) {
  const ScramServer exchange = server();
  EXPECT_EQ(exchange.first(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  const auto end = exchange.finish(kFinal);
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(*end, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

TEST(Scram, NobodyComesInWithoutTheRightProof) {
  EXPECT_FALSE(server(false).finish(kFinal));  // whatever it proves, there is no such user
  const std::string final_text = kFinal;
  // Each byte of it counts.
  for (size_t at = 0; at < final_text.size(); ++at) {
    std::string changed = final_text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(server().finish(changed)) << changed;
    EXPECT_FALSE(server().finish(final_text.substr(0, at)));
  }
  EXPECT_FALSE(server().finish(""));
  EXPECT_FALSE(server().finish(std::string(10'000, 'x')));
}

TEST(Scram, FirstMessagesAreReadStrictly) {
  const auto named = parse_scram_first("y,a=a=2Cb,n=a=2Cb,r=x");
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->user, "a,b");
  EXPECT_EQ(named->gs2_header, "y,a=a=2Cb,");
  EXPECT_EQ(named->bare, "n=a=2Cb,r=x");
  for (const char* bad : {"", "n", "n,,", "n,,n=user", "n,,r=x,n=user", "n,,n=,r=x", "n,,n=us=er,r=x",
                          "n,,n=user,r=", "n,a=root,n=user,r=x", "p=tls-unique,,n=user,r=x", "q,,n=user,r=x",
                          "n,,m=ext,n=user,r=x", "n,,n=user,r=a b", "n,,n=user,r=\xC3\xA9"}) {
    EXPECT_FALSE(parse_scram_first(bad)) << bad;
  }
  EXPECT_FALSE(parse_scram_first("n,,n=user,r=" + std::string(257, 'x')));
}

TEST(Scram, LinesAreMadeAndRead) {
  const auto line = make_scram("pencil", 4'096);
  ASSERT_TRUE(line);
  EXPECT_NE(*line, *make_scram("pencil", 4'096));  // another salt
  EXPECT_EQ(scram_matches(*line, "pencil"), Match::yes);
  EXPECT_EQ(scram_matches(*line, "Pencil"), Match::no);
  EXPECT_EQ(scram_matches(kLine, "pencil"), Match::yes);
  for (std::string bad : {"$scram-sha-256$", "$scram-sha-256$i=1,s=W22ZaJ0SNY7soEsUEjb6gQ==$a$b",
                          "$scram-sha-256$i=4096,s=!$a$b"}) {
    EXPECT_FALSE(parse_scram(bad)) << bad;
  }
  std::string few = kLine;
  few.replace(few.find("4096"), 4, "4095");
  EXPECT_FALSE(parse_scram(few));
  std::string many = kLine;
  many.replace(many.find("4096"), 4, "9999999");
  EXPECT_FALSE(parse_scram(many));
  EXPECT_EQ(make_scram("").error().code, make_error_code(errc::bad_password));
}

}  // namespace
}  // namespace courier::auth::file
