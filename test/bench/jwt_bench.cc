// What a CONNECT with a token costs beside one that says nothing: from Credentials to Decision, on the
// caller's thread. Cached is what a client that comes back costs; the rest is what its first time costs, by
// algorithm.
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "auth/anonymous.h"
#include "auth/jwt/jwt_authenticator.h"
#include "base/check.h"
#include "jose/jose_test_keys.h"

namespace courier::auth::jwt {
namespace {

constexpr const char* kSecret = "a secret that phones do not know, 32 bytes";

std::string claims(uint64_t number) {
  return R"({"rid":"17","sub":"phone-17","iss":"https://id.example","exp":4000000000,"jti":")" +
         std::to_string(number) + "\"}";
}

Credentials credentials(const std::string& token) {
  Credentials out;
  out.client_id = "phone-17";
  out.username = "17";
  out.password = token;
  out.peer = "192.0.2.7:51234";
  out.listener = "mobile";
  return out;
}

// Once a second the answer comes from a worker, which looked at the files.
void ask(Authenticator& authenticator, const std::string& token) {
  std::atomic<int> verdict{-1};
  authenticator.authenticate(credentials(token),
                             [&](Decision decision) { verdict = static_cast<int>(decision.verdict); });
  while (verdict < 0) std::this_thread::yield();
  CHECK(verdict == static_cast<int>(Verdict::allow));
}

void bench_anonymous(benchmark::State& state) {
  Anonymous authenticator(Anonymous::Names::unchecked);
  const std::string token = jose::sign_jws(claims(0), jose::Key::secret(kSecret).value()).value();
  for (auto _ : state) ask(authenticator, token);
}
BENCHMARK(bench_anonymous);

class Opened {
 public:
  Opened() {
    const auto path =
        std::filesystem::temp_directory_path() / ("courier_jwt_bench_" + std::to_string(::getpid()));
    std::ofstream(path) << kSecret;
    authenticator = JwtAuthenticator::open({.secret_file = path.string()}, registry).value();
  }
  Registry registry;
  std::unique_ptr<JwtAuthenticator> authenticator;
};

void bench_cached(benchmark::State& state) {
  Opened opened;
  const std::string token = jose::sign_jws(claims(0), jose::Key::secret(kSecret).value()).value();
  for (auto _ : state) ask(*opened.authenticator, token);
}
BENCHMARK(bench_cached);

// A hundred thousand clients that come back in turn: the cache is as cold as it gets.
void bench_cached_among_many(benchmark::State& state) {
  Opened opened;
  std::vector<std::string> tokens;
  for (uint64_t i = 0; i < 100'000; ++i) {
    tokens.push_back(jose::sign_jws(claims(i), jose::Key::secret(kSecret).value()).value());
    ask(*opened.authenticator, tokens.back());
  }
  size_t next = 0;
  for (auto _ : state) ask(*opened.authenticator, tokens[next = (next + 7'919) % tokens.size()]);
}
BENCHMARK(bench_cached_among_many);

void bench_uncached_hs256(benchmark::State& state) {
  Opened opened;
  std::vector<std::string> tokens;
  for (uint64_t i = 0; i < 200'000; ++i)
    tokens.push_back(jose::sign_jws(claims(i), jose::Key::secret(kSecret).value()).value());
  size_t next = 0;
  for (auto _ : state) ask(*opened.authenticator, tokens[next++ % tokens.size()]);
}
BENCHMARK(bench_uncached_hs256);

// What a worker does for one token.
void bench_verify(benchmark::State& state, const jose::Key& signing, const jose::Key& checking,
                  jose::Algorithm algorithm) {
  const std::string token = jose::sign_jws(claims(0), signing, {.algorithm = algorithm}).value();
  jose::KeySet keys;
  keys.add(checking);
  for (auto _ : state) {
    const auto jws = jose::parse_jws(token);
    CHECK(jose::verify_jws(*jws, keys, jose::all_algorithms()).has_value());
  }
}
const jose::test::KeyPair kRsa = jose::test::fresh_rsa(), kP256 = jose::test::fresh_ec("P-256"),
                          kP384 = jose::test::fresh_ec("P-384"), kEd = jose::test::fresh_ed25519();
BENCHMARK_CAPTURE(bench_verify, rs256, kRsa.signing(), kRsa.checking(), jose::Algorithm::rs256);
BENCHMARK_CAPTURE(bench_verify, ps256, kRsa.signing(), kRsa.checking(), jose::Algorithm::ps256);
BENCHMARK_CAPTURE(bench_verify, es256, kP256.signing(), kP256.checking(), jose::Algorithm::es256);
BENCHMARK_CAPTURE(bench_verify, es384, kP384.signing(), kP384.checking(), jose::Algorithm::es384);
BENCHMARK_CAPTURE(bench_verify, eddsa, kEd.signing(), kEd.checking(), jose::Algorithm::eddsa);

}  // namespace
}  // namespace courier::auth::jwt

BENCHMARK_MAIN();
