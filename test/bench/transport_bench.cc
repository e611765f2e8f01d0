// What the layers between a socket and MQTT cost, beside OpenSSL alone in the same run.
//
// Handshakes: CPU time of the server's end, from making it to destroying it, of connections whose other end
// is the same for both: ours, and SSL_accept() over a pair of memory BIOs with the same certificate, cipher
// suites and number of tickets. Messages: 200 bytes each, one by one. The two take turns; each figure is the
// median of the rounds, each ratio the median of the rounds' ratios.
//
//   transport_bench [ROUNDS [HANDSHAKES]]      default: 10 rounds of 100
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "net/tls/tls_client.h"
#include "net/tls/tls_server.h"
#include "net/tls/tls_test_authority.h"
#include "net/websocket/websocket_transport.h"

using namespace courier;
using namespace courier::net;
using namespace courier::net::tls;

namespace {

constexpr size_t kMessageBytes = 200;
constexpr int kMessages = 5000;

double cpu_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Adds up what one side takes.
class Stopwatch {
 public:
  template <typename Call>
  void time(Call call) {
    const double begin = cpu_us();
    call();
    us_ += cpu_us() - begin;
  }
  double us() const { return us_; }

 private:
  double us_ = 0;
};

void row(const std::string& what, int rounds, const std::function<double()>& ours,
         const std::function<double()>& bare) {
  std::vector<double> mine, theirs, ratios;
  for (int i = 0; i < rounds; ++i) {
    // The second of a pair finds warmer caches: each is it as often as the other.
    const bool first = i % 2 == 0;
    const double a = first ? ours() : 0;
    const double b = bare ? bare() : 0;
    mine.push_back(first ? a : ours());
    theirs.push_back(b);
    if (bare) ratios.push_back(b / mine.back());
  }
  if (bare) {
    std::printf("| %s | %.2f | %.2f | %.2f |\n", what.c_str(), median(mine), median(theirs), median(ratios));
  } else {
    std::printf("| %s | %.3f | | |\n", what.c_str(), median(mine));
  }
  std::fflush(stdout);
}

// --- TLS ---

struct Keys {
  TestFolder folder;
  TestAuthority authority{"Bench CA"};
  CertificateFiles files;

  explicit Keys(TestKey kind) {
    const TestCertificate made =
        authority.issue({.common_name = "b", .dns = {"broker.example"}, .key = kind});
    files = {folder.write("a.pem", made.certificate), folder.write("a.key", made.key), ""};
  }
};

// The phone: OpenSSL over a BIO that the server's end is at the other side of.
struct Phone {
  ContextPtr context{SSL_CTX_new(TLS_client_method())};
  SessionPtr session;  // to come back with

  explicit Phone(int version) {
    SSL_CTX_set_min_proto_version(context.get(), version);
    SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_set1_groups_list(context.get(), "X25519:P-256");
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(context.get(), this);
    SSL_CTX_sess_set_new_cb(context.get(), [](SSL* ssl, SSL_SESSION* made) {
      static_cast<Phone*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->session.reset(made);
      return 1;
    });
  }
  SslPtr connect(BIO* in, BIO* out) {
    SslPtr ssl(SSL_new(context.get()));
    SSL_set_bio(ssl.get(), in, out);
    SSL_set_connect_state(ssl.get());
    if (session) SSL_set_session(ssl.get(), session.get());
    return ssl;
  }
};

void read_tickets(SSL* ssl) {
  char room[64];
  size_t bytes = 0;
  SSL_read_ex(ssl, room, sizeof(room), &bytes);
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

void our_handshake(Stopwatch& watch, const TlsServer& server, Phone& phone, bool resumed) {
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(in, -1);
  const SslPtr ssl = phone.connect(in, out);
  std::unique_ptr<Transport> transport;
  watch.time([&] { transport = server.accept(system_clock().wall_ms()); });
  std::string plain, reply;
  TransportState state = TransportState::opening;
  while (state != TransportState::open || !SSL_is_init_finished(ssl.get())) {
    SSL_do_handshake(ssl.get());
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out, &bytes);
    if (size > 0) {
      watch.time([&] {
        const auto received = transport->receive({bytes, static_cast<size_t>(size)}, plain, reply);
        CHECK(received);
        state = *received;
      });
      (void)BIO_reset(out);
    }
    BIO_write(in, reply.data(), static_cast<int>(reply.size()));
    reply.clear();
  }
  read_tickets(ssl.get());
  CHECK((SSL_session_reused(ssl.get()) == 1) == resumed);
  watch.time([&] { transport.reset(); });
}

ContextPtr bare_context(const Keys& keys) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const c = context.get();
  CHECK(SSL_CTX_use_certificate_chain_file(c, keys.files.certificate.c_str()) == 1);
  CHECK(SSL_CTX_use_PrivateKey_file(c, keys.files.key.c_str(), SSL_FILETYPE_PEM) == 1);
  SSL_CTX_set_cipher_list(c, ServerOptions().ciphers.c_str());
  SSL_CTX_set_ciphersuites(c, ServerOptions().ciphersuites.c_str());
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(c, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(c, 1);
  return context;
}

void bare_handshake(Stopwatch& watch, SSL_CTX* context, Phone& phone, bool resumed) {
  BIO *phone_end = nullptr, *server_end = nullptr;
  SslPtr server;
  watch.time([&] {
    CHECK(BIO_new_bio_pair(&phone_end, 0, &server_end, 0) == 1);
    server.reset(SSL_new(context));
    SSL_set_bio(server.get(), server_end, server_end);
  });
  const SslPtr ssl = phone.connect(phone_end, phone_end);
  int accepted = 0;
  while (accepted != 1 || !SSL_is_init_finished(ssl.get())) {
    SSL_do_handshake(ssl.get());
    if (accepted != 1) watch.time([&] { accepted = SSL_accept(server.get()); });
    CHECK(accepted == 1 || SSL_get_error(server.get(), accepted) == SSL_ERROR_WANT_READ);
  }
  read_tickets(ssl.get());
  CHECK((SSL_session_reused(ssl.get()) == 1) == resumed);
  watch.time([&] { server.reset(); });
}

void handshakes(const char* name, TestKey kind, int version, bool resumed, int rounds, int count) {
  const Keys keys(kind);
  ServerOptions options;
  options.certificates = {keys.files};
  const auto server = *TlsServer::load(options, std::make_shared<TicketKeys>(), system_clock().wall_ms());
  const ContextPtr bare = bare_context(keys);
  Phone ours_phone(version), bare_phone(version);
  const auto run = [&](Phone& phone, auto handshake) {
    Stopwatch warm, watch;
    phone.session.reset();
    handshake(warm, phone, false);
    for (int i = 0; i < count; ++i) {
      if (!resumed) phone.session.reset();
      handshake(watch, phone, resumed);
    }
    return watch.us() / count;
  };
  const auto ours = [&] {
    return run(ours_phone, [&](Stopwatch& watch, Phone& phone, bool again) {
      our_handshake(watch, *server, phone, again);
    });
  };
  const auto alone = [&] {
    return run(bare_phone, [&](Stopwatch& watch, Phone& phone, bool again) {
      bare_handshake(watch, bare.get(), phone, again);
    });
  };
  row(name, rounds, ours, alone);
}

// --- messages ---

// Both ends of a connection that is open.
struct Ends {
  std::unique_ptr<Transport> client, server;

  void open() {
    std::string to_server, to_client, plain;
    client->start(to_server);
    while (!to_server.empty() || !to_client.empty()) {
      CHECK(server->receive(std::exchange(to_server, {}), plain, to_client));
      CHECK(client->receive(std::exchange(to_client, {}), plain, to_server));
    }
  }
};

// Microseconds for one message out, and for one in.
double sending(Transport& from) {
  const std::string message(kMessageBytes, 'x');
  std::string wire;
  const double begin = cpu_us();
  for (int i = 0; i < kMessages; ++i) {
    wire.clear();
    CHECK(from.send(message, wire));
  }
  return (cpu_us() - begin) / kMessages;
}

double receiving(Transport& from, Transport& to) {
  const std::string message(kMessageBytes, 'x');
  std::vector<std::string> wires(kMessages);
  for (std::string& wire : wires) CHECK(from.send(message, wire));
  std::string plain, reply;
  const double begin = cpu_us();
  for (const std::string& wire : wires) {
    plain.clear();
    CHECK(to.receive(wire, plain, reply));
  }
  const double us = (cpu_us() - begin) / kMessages;
  CHECK(plain.size() == kMessageBytes);
  return us;
}

// OpenSSL alone, over memory BIOs.
struct BareEnds {
  SslPtr client, server;

  explicit BareEnds(SSL_CTX* context, Phone& phone) {
    BIO* const up = BIO_new(BIO_s_mem());
    BIO* const down = BIO_new(BIO_s_mem());
    for (BIO* bio : {up, down}) {
      BIO_set_mem_eof_return(bio, -1);
      BIO_up_ref(bio);
    }
    client = phone.connect(down, up);
    server.reset(SSL_new(context));
    SSL_set_bio(server.get(), up, down);
    SSL_set_accept_state(server.get());
    while (!SSL_is_init_finished(client.get()) || !SSL_is_init_finished(server.get())) {
      SSL_do_handshake(client.get());
      SSL_do_handshake(server.get());
    }
    read_tickets(client.get());
    SSL_set_shutdown(client.get(), 0);
  }
};

double bare_sending(BareEnds& ends) {
  const std::string message(kMessageBytes, 'x');
  BIO* const wire = SSL_get_wbio(ends.server.get());
  size_t written = 0;
  const double begin = cpu_us();
  for (int i = 0; i < kMessages; ++i) {
    (void)BIO_reset(wire);
    CHECK(SSL_write_ex(ends.server.get(), message.data(), message.size(), &written) == 1);
  }
  return (cpu_us() - begin) / kMessages;
}

double bare_receiving(BareEnds& ends) {
  const std::string message(kMessageBytes, 'x');
  size_t bytes = 0;
  char room[4096];
  Stopwatch watch;
  // In one piece, or the clock would be most of what is measured.
  for (int i = 0; i < kMessages; ++i)
    CHECK(SSL_write_ex(ends.client.get(), message.data(), message.size(), &bytes) == 1);
  watch.time([&] {
    for (int i = 0; i < kMessages; ++i)
      CHECK(SSL_read_ex(ends.server.get(), room, sizeof(room), &bytes) == 1);
  });
  return watch.us() / kMessages;
}

void messages(int rounds) {
  const Keys keys(TestKey::p256);
  ServerOptions options;
  options.certificates = {keys.files};
  const auto factory = *TlsServer::load(options, std::make_shared<TicketKeys>(), system_clock().wall_ms());
  const auto client = *TlsClient::load({.insecure = true});
  Ends tls{client->connect("broker.example"), factory->accept(system_clock().wall_ms())};
  tls.open();
  const ContextPtr context = bare_context(keys);
  const auto bare_row = [&](const char* name, const std::function<double()>& ours,
                            double (*measure)(BareEnds&)) {
    row(name, rounds, ours, [&] {
      Phone phone(TLS1_3_VERSION);
      BareEnds ends(context.get(), phone);
      return measure(ends);
    });
  };
  bare_row(
      "TLS 1.3, 200 bytes out", [&] { return sending(*tls.server); }, bare_sending);
  bare_row(
      "TLS 1.3, 200 bytes in", [&] { return receiving(*tls.client, *tls.server); }, bare_receiving);

  using websocket::WebSocketTransport;
  Ends ws{WebSocketTransport::client(
              std::make_shared<websocket::ClientOptions>(websocket::ClientOptions{.host = "a"})),
          websocket::WebSocketServer({}).accept(0)};
  ws.open();
  row(
      "WebSocket, 200 bytes out", rounds, [&] { return sending(*ws.server); }, nullptr);
  row(
      "WebSocket, 200 bytes in", rounds, [&] { return receiving(*ws.client, *ws.server); }, nullptr);
  row(
      "WebSocket, 200 bytes out, as a client", rounds, [&] { return sending(*ws.client); }, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 10;
  const int count = argc > 2 ? std::atoi(argv[2]) : 100;
  std::printf("| what the server's end costs | ours, CPU µs | OpenSSL alone | ours per core / alone |\n");
  std::printf("|---|---|---|---|\n");
  for (const auto& [kind, key] :
       {std::pair(TestKey::p256, "P-256"), std::pair(TestKey::rsa2048, "RSA-2048")}) {
    for (const bool resumed : {false, true}) {
      for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
        const std::string name = std::string(resumed ? "resumed" : "full") + " handshake, " + key +
                                 ", TLS 1." + (version == TLS1_3_VERSION ? "3" : "2");
        handshakes(name.c_str(), kind, version, resumed, rounds, count);
      }
    }
  }
  messages(rounds);
}
