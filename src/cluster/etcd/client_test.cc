#include "cluster/etcd/client.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fstream>

#include "cluster/etcd/etcd_test_server.h"

namespace courier::cluster::etcd {
namespace {

Result<void> put(Client& client, const std::string& key, const std::string& value, int64_t ms = 10'000) {
  api::TxnRequest request;
  request.add_success()->mutable_request_put()->set_key(key);
  request.mutable_success(0)->mutable_request_put()->set_value(value);
  const auto answer =
      client.insist<api::TxnResponse>(ms, [&](auto then) { client.txn(request, std::move(then)); });
  if (!answer) return fail(answer.error());
  return {};
}

std::string get(Client& client, const std::string& key) {
  api::RangeRequest request;
  request.set_key(key);
  const auto answer =
      client.insist<api::RangeResponse>(10'000, [&](auto then) { client.range(request, std::move(then)); });
  EXPECT_TRUE(answer) << answer.error().message;
  return answer && answer->kvs_size() == 1 ? answer->kvs(0).value() : "";
}

std::string check_refusal(Client::Options options, errc code, int64_t patience_ms = 500) {
  Result<std::unique_ptr<Client>> client = Client::open(std::move(options));
  if (!client) {
    EXPECT_EQ(client.error().code, make_error_code(code)) << client.error().message;
    return client.error().message;
  }
  const Result<EngineReport> report = check_engine(**client, patience_ms);
  EXPECT_FALSE(report);
  if (report) return {};
  EXPECT_EQ(report.error().code, make_error_code(code)) << report.error().message;
  return report.error().message;
}

TEST(EtcdClient, WritesAndReadsAndSaysWhatItTalksTo) {
  TestEtcd etcd;
  const auto client = etcd.ready_client();
  const Result<EngineReport> report = check_engine(*client, 1000);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->version.starts_with("3."));
  EXPECT_EQ(report->members, 1u);
  ASSERT_TRUE(put(*client, "a", "1"));
  EXPECT_EQ(get(*client, "a"), "1");
}

TEST(EtcdClient, GoesOnWithAnotherMemberWhenOneHangs) {
  TestEtcd etcd(3);
  const auto client = etcd.ready_client();
  ASSERT_TRUE(put(*client, "a", "1"));
  const size_t hung = etcd.leader();
  ASSERT_LT(hung, 3u);
  etcd.pause(hung);
  ASSERT_TRUE(put(*client, "a", "3"));
  EXPECT_EQ(get(*client, "a"), "3");
  etcd.go_on(hung);
}

TEST(EtcdClient, ComesBackAfterAllServersWereKilledAndStartedAgain) {
  TestEtcd etcd(3);
  const auto client = etcd.ready_client();
  ASSERT_TRUE(put(*client, "a", "1"));
  etcd.kill_all();
  // Long enough for the channels to try in vain.
  const MonoNs killed_at = boot_ns();
  EXPECT_FALSE(put(*client, "a", "2", 3000));
  EXPECT_GE(boot_ns() - killed_at, 3 * kNsPerSecond);
  etcd.start_all();
  const MonoNs started_at = boot_ns();
  ASSERT_TRUE(put(*client, "a", "3", 20'000));
  EXPECT_EQ(get(*client, "a"), "3");
  RecordProperty("recovery_ms", static_cast<int>((boot_ns() - started_at) / kNsPerMs));
}

TEST(EtcdClient, UserAndPasswordAreCheckedAndTheTokenIsGotAgain) {
  TestEtcd etcd(1, {"--auth-token-ttl", "1"});
  {
    const auto anybody = etcd.ready_client();
    ASSERT_TRUE(put(*anybody, "a", "1"));
  }
  EXPECT_NE(check_refusal({etcd.endpoints(), "courier", "secret", {}}, errc::refused).find("has no users"),
            std::string::npos);
  ASSERT_EQ(etcd.control("user add root:rootpw"), 0);
  ASSERT_EQ(etcd.control("user add courier:secret"), 0);
  ASSERT_EQ(etcd.control("role add courier"), 0);
  ASSERT_EQ(etcd.control("role grant-permission courier --prefix=true readwrite /courier/"), 0);
  ASSERT_EQ(etcd.control("user grant-role courier courier"), 0);
  ASSERT_EQ(etcd.control("auth enable"), 0);

  check_refusal({etcd.endpoints(), "courier", "wrong", {}}, errc::refused);
  check_refusal({etcd.endpoints(), "", "", {}}, errc::refused);
  const auto client = etcd.client("courier", "secret");
  const Result<EngineReport> report = check_engine(*client, 5000);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_TRUE(put(*client, "/courier/a", "1"));
  // Tokens are in the server's memory: this one is gone.
  etcd.kill(0);
  etcd.start(0);
  ASSERT_TRUE(put(*client, "/courier/a", "2", 20'000));
  EXPECT_EQ(get(*client, "/courier/a"), "2");
  const Result<void> elsewhere = put(*client, "/other", "1");
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().code, make_error_code(errc::refused));
}

TEST(EtcdClient, TlsWithAClientCertificate) {
  const std::string folder = ::testing::TempDir() + "courier_etcd_tls_" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  const std::string command =
      "cd " + folder +
      " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority "
      "-keyout ca.key -out ca.pem 2>log && for who in server client; do openssl req -newkey ec -pkeyopt "
      "ec_paramgen_curve:P-256 -nodes -subj /CN=$who -keyout $who.key -out $who.csr 2>>log && printf "
      "'subjectAltName=IP:127.0.0.1,DNS:localhost\\nextendedKeyUsage=serverAuth,clientAuth' >ext && openssl "
      "x509 "
      "-req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $who.pem 2>>log; "
      "done";
  ASSERT_EQ(std::system(command.c_str()), 0);
  TestEtcd etcd(1,
                {"--cert-file", folder + "/server.pem", "--key-file", folder + "/server.key",
                 "--trusted-ca-file", folder + "/ca.pem", "--client-cert-auth"},
                "https");
  Client::Options options{
      etcd.endpoints(), "", "",
      Client::Tls{folder + "/ca.pem", folder + "/client.pem", folder + "/client.key", ""}};
  Result<std::unique_ptr<Client>> client = Client::open(options);
  ASSERT_TRUE(client) << client.error().message;
  const Result<EngineReport> report = check_engine(**client, 10'000);
  ASSERT_TRUE(report) << report.error().message;

  Client::Options without = options;
  without.tls->cert_file = without.tls->key_file = "";
  check_refusal(without, errc::unavailable);
  without.tls.reset();
  check_refusal(without, errc::unavailable);
  Client::Options half = options;
  half.tls->key_file = "";
  EXPECT_NE(check_refusal(half, errc::bad_options).find("both"), std::string::npos);
  Client::Options missing = options;
  missing.tls->ca_file = folder + "/none.pem";
  EXPECT_NE(check_refusal(missing, errc::bad_options).find("none.pem"), std::string::npos);
  std::filesystem::remove_all(folder);
}

// Answers every connection with these bytes.
class OtherService {
 public:
  explicit OtherService(std::string answer) : port_(net::test_port()) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 16), 0);
    thread_ = std::thread([this, answer = std::move(answer)] {
      while (true) {
        const int peer = ::accept(fd_, nullptr, nullptr);
        if (peer < 0) return;
        (void)!::write(peer, answer.data(), answer.size());
        ::close(peer);
      }
    });
  }
  ~OtherService() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  const uint16_t port_;
  int fd_;
  std::thread thread_;
};

TEST(EtcdClient, WhatIsNoEtcdIsToldInASentence) {
  OtherService web("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_NE(check_refusal({{web.endpoint()}, "", "", {}}, errc::unsupported).find("v2 API"),
            std::string::npos);
  OtherService garbage("no such thing\r\n");
  const std::string said = check_refusal({{garbage.endpoint()}, "", "", {}}, errc::unavailable);
  EXPECT_NE(said.find(garbage.endpoint()), std::string::npos) << said;
  const std::string nobody = "127.0.0.1:" + std::to_string(net::test_port());
  EXPECT_NE(check_refusal({{nobody}, "", "", {}}, errc::unavailable).find(nobody), std::string::npos);
}

TEST(EtcdClient, EndpointsThatCannotBeAreRefused) {
  for (const char* bad : {"", "host", "host:", ":2379", "host:x", "a b:2379", "unix:///x:1"}) {
    check_refusal({{bad}, "", "", {}}, errc::bad_options);
  }
  check_refusal({{}, "", "", {}}, errc::bad_options);
  EXPECT_TRUE(Client::open({{"http://localhost:2379/", "https://[::1]:2379"}, "", "", {}}));
}

TEST(EtcdClient, EndpointsOfTwoClustersAreRefused) {
  TestEtcd one, other;
  (void)one.ready_client();
  (void)other.ready_client();
  EXPECT_NE(check_refusal({{one.endpoint(), other.endpoint()}, "", "", {}}, errc::other_cluster)
                .find(other.endpoint()),
            std::string::npos);
}

TEST(EtcdClient, CallsAfterTheEndFailAtOnce) {
  TestEtcd etcd;
  const auto client = etcd.ready_client();
  client->stop();
  const auto answer = client->wait<api::StatusResponse>([&](auto then) { client->status(std::move(then)); });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, make_error_code(errc::unavailable));
}

TEST(OpenCluster, TheFirstOneWritesItAndTheOthersTakeWhatIsThere) {
  TestEtcd etcd;
  const auto client = etcd.ready_client();
  const Keys keys = test_keys();
  const Meta first{random_id(), 16, 1'700'000'000'000};
  Result<Meta> opened = open_cluster(*client, keys, first, 1000);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(*opened, first);
  opened = open_cluster(*client, keys, {random_id(), 16, 1}, 1000);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(*opened, first);

  opened = open_cluster(*client, keys, {random_id(), 32, 1}, 1000);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, make_error_code(errc::other_cluster));
  EXPECT_NE(opened.error().message.find("16 partitions"), std::string::npos) << opened.error().message;
  EXPECT_EQ(get(*client, keys.meta()), encode(first)) << "nothing is overwritten";

  const std::string newer = "format=2\nid=x\n";
  ASSERT_TRUE(put(*client, keys.meta(), newer));
  opened = open_cluster(*client, keys, first, 1000);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, make_error_code(errc::newer_format)) << opened.error().message;
  EXPECT_EQ(get(*client, keys.meta()), newer);
  ASSERT_TRUE(put(*client, keys.meta(), "something else"));
  opened = open_cluster(*client, keys, first, 1000);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, make_error_code(errc::damaged));
}

TEST(BeginWithState, IsDoneOnceAndOverwritesNothing) {
  TestEtcd etcd;
  const auto client = etcd.ready_client();
  const Keys keys = test_keys();
  Result<FoundCluster> found = find_cluster(*client, keys, 1000);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_FALSE(found->meta);
  EXPECT_FALSE(found->left_over);
  const uint64_t revision = found->revision;
  EXPECT_GT(revision, 0u) << "an empty store is behind it";
  const Meta meta{random_id(), 16, 1'700'000'000'000, Position(4711)};

  ASSERT_TRUE(put(*client, keys.node("left behind"), "x"));
  found = find_cluster(*client, keys, 1000);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_FALSE(found->meta);
  EXPECT_TRUE(found->left_over);
  Result<void> begun = begin_with_state(*client, keys, meta, revision, 1000);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, make_error_code(errc::other_cluster));
  EXPECT_NE(begun.error().message.find("del --prefix " + keys.prefix()), std::string::npos)
      << begun.error().message;
  EXPECT_EQ(get(*client, keys.meta()), "");

  const Keys other = *Keys::of(keys.cluster() + "-2");
  begun = begin_with_state(*client, other, meta, revision, 1000);
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_TRUE(begin_with_state(*client, other, meta, revision, 1000)) << "an answer that got lost";
  begun = begin_with_state(*client, other, {random_id(), 16, 1, Position(1)}, revision, 1000);
  ASSERT_FALSE(begun);
  EXPECT_NE(begun.error().message.find("somebody else began it"), std::string::npos) << begun.error().message;
  found = find_cluster(*client, other, 1000);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->meta, meta);
  EXPECT_FALSE(found->left_over);
  EXPECT_EQ(get(*client, other.trimmed()), encode_revision(revision));
}

}  // namespace
}  // namespace courier::cluster::etcd
