#include "jose/algorithm.h"

#include <array>

#include "base/check.h"

namespace courier::jose {
namespace {

struct AlgorithmRow {
  Algorithm algorithm;
  std::string_view name;
  KeyType type;
};

constexpr std::array kAlgorithmRows = {
    AlgorithmRow{Algorithm::hs256, "HS256", KeyType::secret},
    AlgorithmRow{Algorithm::hs384, "HS384", KeyType::secret},
    AlgorithmRow{Algorithm::hs512, "HS512", KeyType::secret},
    AlgorithmRow{Algorithm::rs256, "RS256", KeyType::rsa},
    AlgorithmRow{Algorithm::rs384, "RS384", KeyType::rsa},
    AlgorithmRow{Algorithm::rs512, "RS512", KeyType::rsa},
    AlgorithmRow{Algorithm::ps256, "PS256", KeyType::rsa},
    AlgorithmRow{Algorithm::ps384, "PS384", KeyType::rsa},
    AlgorithmRow{Algorithm::ps512, "PS512", KeyType::rsa},
    AlgorithmRow{Algorithm::es256, "ES256", KeyType::ec_p256},
    AlgorithmRow{Algorithm::es384, "ES384", KeyType::ec_p384},
    AlgorithmRow{Algorithm::es512, "ES512", KeyType::ec_p521},
    AlgorithmRow{Algorithm::eddsa, "EdDSA", KeyType::ed25519},
};

constexpr auto kAll = [] {
  std::array<Algorithm, kAlgorithmRows.size()> all{};
  for (size_t i = 0; i < all.size(); ++i) all[i] = kAlgorithmRows[i].algorithm;
  return all;
}();

const AlgorithmRow& row(Algorithm algorithm) {
  const AlgorithmRow& found = kAlgorithmRows[static_cast<size_t>(algorithm)];
  CHECK(found.algorithm == algorithm);
  return found;
}

}  // namespace

std::string_view name(Algorithm algorithm) {
  return row(algorithm).name;
}

std::optional<Algorithm> parse_algorithm(std::string_view name) {
  for (const AlgorithmRow& each : kAlgorithmRows) {
    if (each.name == name) return each.algorithm;
  }
  return std::nullopt;
}

std::span<const Algorithm> all_algorithms() {
  return kAll;
}

KeyType key_type(Algorithm algorithm) {
  return row(algorithm).type;
}

Algorithm usual_algorithm(KeyType type) {
  switch (type) {
    case KeyType::secret:
      return Algorithm::hs256;
    case KeyType::rsa:
      return Algorithm::rs256;
    case KeyType::ec_p256:
      return Algorithm::es256;
    case KeyType::ec_p384:
      return Algorithm::es384;
    case KeyType::ec_p521:
      return Algorithm::es512;
    case KeyType::ed25519:
      return Algorithm::eddsa;
  }
  return Algorithm::hs256;
}

std::string_view describe(KeyType type) {
  switch (type) {
    case KeyType::secret:
      return "a shared secret";
    case KeyType::rsa:
      return "an RSA key";
    case KeyType::ec_p256:
      return "a P-256 key";
    case KeyType::ec_p384:
      return "a P-384 key";
    case KeyType::ec_p521:
      return "a P-521 key";
    case KeyType::ed25519:
      return "an Ed25519 key";
  }
  return "a key";
}

}  // namespace courier::jose
