#include "http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <latch>

#include "http/errc.h"
#include "http/http_test_server.h"

namespace courier::http {
namespace {

using test::answer;
using test::Server;
using testing::HasSubstr;
using testing::Not;

Result<Response> get(Request request) {
  return Client::open().value()->fetch(request);
}

TEST(HttpClient, FetchesStatusHeadersAndBody) {
  Server server(
      [](const std::string&) { return answer("hello", "Cache-Control: max-age=60\r\n", "203 Fine"); });
  const auto response = get({.url = server.url("/keys?a=b")});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 203);
  EXPECT_EQ(response->body, "hello");
  ASSERT_NE(response->header("cache-control"), nullptr);
  EXPECT_EQ(*response->header("cache-control"), "max-age=60");
  EXPECT_EQ(response->header("etag"), nullptr);
}

TEST(HttpClient, PostsABodyWithItsHeaders) {
  std::string seen;
  Server server([&](const std::string& request) {
    seen = request;
    return answer("");
  });
  ASSERT_TRUE(get({.url = server.url("/hook"),
                   .method = "POST",
                   .headers = {{"vernemq-hook", "auth_on_register"}},
                   .body = "{\"a\":1}"}));
  EXPECT_THAT(seen, testing::StartsWith("POST /hook HTTP/1.1\r\n"));
  EXPECT_THAT(seen, HasSubstr("vernemq-hook: auth_on_register\r\n"));
  EXPECT_THAT(seen, testing::EndsWith("\r\n\r\n{\"a\":1}"));
  EXPECT_THAT(seen, Not(HasSubstr("Expect:")));
}

TEST(HttpClient, AddressesOfTheLinkAndOfMetadataAreNotAsked) {
  for (const char* url :
       {"http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://0xa9fea9fe/",
        "http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]/", "http://100.100.100.200/"}) {
    const auto refused = get({.url = url});
    ASSERT_FALSE(refused) << url;
    EXPECT_EQ(refused.error().code, errc::forbidden) << refused.error().message;
    EXPECT_THAT(refused.error().message, HasSubstr("allow_link_local"));
  }
  Server redirects(
      [](const std::string&) { return answer("", "Location: http://169.254.169.254/\r\n", "302 Found"); });
  EXPECT_EQ(get({.url = redirects.url(), .redirects_max = 3}).error().code, errc::forbidden);
}

TEST(HttpClient, AnAnswerBeyondItsLimitIsRefused) {
  Server server([](const std::string&) { return answer(std::string(1000, 'x')); });
  EXPECT_TRUE(get({.url = server.url(), .body_bytes_max = 1000}));
  EXPECT_EQ(get({.url = server.url(), .body_bytes_max = 999}).error().code, errc::too_large);
  Server chatty([](const std::string&) { return answer("", "X: " + std::string(70'000, 'x') + "\r\n"); });
  EXPECT_EQ(get({.url = chatty.url()}).error().code, errc::too_large);
}

TEST(HttpClient, RedirectsAreFollowedOnlyIfAllowedAndOnlyToTheSameScheme) {
  Server server([&](const std::string& request) {
    if (request.starts_with("GET /old ")) return answer("", "Location: /new\r\n", "302 Found");
    if (request.starts_with("GET /file ")) return answer("", "Location: file:///etc/passwd\r\n", "302 Found");
    if (request.starts_with("GET /tls "))
      return answer("", "Location: https://127.0.0.1:1/\r\n", "302 Found");
    if (request.starts_with("GET /loop ")) return answer("", "Location: /loop\r\n", "302 Found");
    return answer("new");
  });
  EXPECT_EQ(get({.url = server.url("/old")})->status, 302);
  EXPECT_EQ(get({.url = server.url("/old"), .redirects_max = 3})->body, "new");
  for (const char* path : {"/file", "/tls", "/loop"}) {
    const auto refused = get({.url = server.url(path), .redirects_max = 3});
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().code, errc::bad_redirect) << path << refused.error().message;
  }
}

TEST(HttpClient, OnlyHttpAndHttpsAreSpoken) {
  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/", "", "127.0.0.1", "gopher://127.0.0.1/",
                          "HTTP://127.0.0.1/"}) {
    const auto refused = get({.url = url});
    ASSERT_FALSE(refused) << url;
    EXPECT_EQ(refused.error().code, errc::bad_url) << url;
  }
}

TEST(HttpClient, NobodyThereIsUnreachableAndTheQueryIsNotShown) {
  Server server([](const std::string&) { return answer(""); });
  const std::string url = server.url("/?token=secret");
  server.stop();
  const auto refused = get({.url = url});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::unreachable);
  EXPECT_THAT(refused.error().message, Not(HasSubstr("secret")));
}

TEST(HttpClient, WhatMayBeASecretIsNotShown) {
  EXPECT_EQ(without_secrets("https://a.example:8443/b?token=secret"), "https://a.example:8443/b");
  EXPECT_EQ(without_secrets("https://user:se@cret@a.example/b@c"), "https://...@a.example/b@c");
  EXPECT_EQ(without_secrets("user:secret@a.example"), "...@a.example");
  EXPECT_EQ(without_secrets("http://a.example?user@secret"), "http://a.example");
  EXPECT_EQ(without_secrets("http://a.example/" + std::string(1000, 'x')).size(), 256u);
  EXPECT_TRUE(names_user("http://:secret@a.example"));
  for (const char* none : {"", "//", "http://a.example", "http://a.example/@", "http://a.example?@"})
    EXPECT_FALSE(names_user(none)) << none;
}

TEST(HttpClient, WhoDoesNotAnswerInTimeOrSpeaksNoHttpIsSaidSo) {
  std::latch release(1);
  Server slow([&](const std::string&) {
    release.wait();
    return answer("");
  });
  EXPECT_EQ(get({.url = slow.url(), .timeout_ms = 50}).error().code, errc::timeout);
  release.count_down();
  Server rubbish([](const std::string&) { return "220 mail.example ESMTP\r\n"; });
  EXPECT_EQ(get({.url = rubbish.url()}).error().code, errc::bad_response);
  Server cut([](const std::string&) { return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"; });
  EXPECT_EQ(get({.url = cut.url()}).error().code, errc::bad_response);
}

TEST(HttpClient, ACancelEndsTheRequestUnderWay) {
  std::latch arrived(1), release(1);
  Server slow([&](const std::string&) {
    arrived.count_down();
    release.wait();
    return answer("");
  });
  const auto client = Client::open().value();
  auto fetched = std::async(std::launch::async,
                            [&] { return client->fetch({.url = slow.url(), .timeout_ms = 60'000}); });
  arrived.wait();
  client->cancel();
  EXPECT_EQ(fetched.get().error().code, errc::cancelled);
  EXPECT_EQ(client->fetch({.url = slow.url()}).error().code, errc::cancelled);
  release.count_down();
}

TEST(HttpClient, TrustsOverTlsOnlyWhomItIsToldTo) {
  Server server([](const std::string&) { return answer("keys"); }, Server::Tls::on);
  const auto refused = get({.url = server.url()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::tls) << refused.error().message;
  const auto path = std::filesystem::temp_directory_path() / fmt::format("courier_ca_{}.pem", ::getpid());
  std::ofstream(path) << server.certificate_pem();
  const auto trusted = get({.url = server.url(), .ca_file = path.string()});
  ASSERT_TRUE(trusted) << trusted.error().message;
  EXPECT_EQ(trusted->body, "keys");
  std::filesystem::remove(path);
}

TEST(HttpClient, ShowsItsCertificateToAServerThatAsksForOne) {
  Server server([](const std::string&) { return answer("keys"); }, Server::Tls::mutual);
  const auto folder = std::filesystem::temp_directory_path();
  const auto certificate = folder / fmt::format("courier_client_{}.pem", ::getpid());
  const auto key = folder / fmt::format("courier_client_{}.key", ::getpid());
  std::ofstream(certificate) << server.certificate_pem();
  std::ofstream(key) << server.key_pem();
  EXPECT_FALSE(get({.url = server.url(), .ca_file = certificate.string()}));
  const auto shown = get({.url = server.url(),
                          .ca_file = certificate.string(),
                          .certificate_file = certificate.string(),
                          .key_file = key.string()});
  ASSERT_TRUE(shown) << shown.error().message;
  EXPECT_EQ(shown->body, "keys");
  std::ofstream(certificate, std::ios::app) << server.key_pem();  // both in one file
  EXPECT_TRUE(
      get({.url = server.url(), .ca_file = certificate.string(), .certificate_file = certificate.string()}));
  EXPECT_FALSE(get({.url = server.url(),
                    .ca_file = certificate.string(),
                    .certificate_file = (folder / "courier_no_such_file").string()}));
  std::filesystem::remove(certificate);
  std::filesystem::remove(key);
}

}  // namespace
}  // namespace courier::http
