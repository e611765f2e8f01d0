#include "auth/certificate.h"

#include <system_error>
#include <utility>

namespace courier::auth {

namespace {

using Shown = net::PeerCertificate;

std::string_view first(const std::vector<std::string>& names) {
  return names.empty() ? std::string_view() : std::string_view(names.front());
}

struct Field {
  std::string_view name;
  std::string_view (*of)(const Shown&);
};
constexpr Field kFields[] = {
    {"cn", [](const Shown& shown) { return std::string_view(shown.common_name); }},
    {"o", [](const Shown& shown) { return std::string_view(shown.organization); }},
    {"ou", [](const Shown& shown) { return std::string_view(shown.unit); }},
    {"dns", [](const Shown& shown) { return first(shown.dns); }},
    {"uri", [](const Shown& shown) { return first(shown.uri); }},
    {"email", [](const Shown& shown) { return first(shown.email); }},
    {"serial", [](const Shown& shown) { return std::string_view(shown.serial); }},
    {"fingerprint", [](const Shown& shown) { return std::string_view(shown.fingerprint); }},
};

}  // namespace

Result<std::unique_ptr<Certificate>> Certificate::open(std::string_view username,
                                                       std::string_view mountpoint) {
  auto name = parse("auth.certificate_username", username);
  if (!name) return fail(std::move(name).error());
  Template tenant;
  if (!mountpoint.empty()) {
    auto parsed = parse("auth.certificate_mountpoint", mountpoint);
    if (!parsed) return fail(std::move(parsed).error());
    tenant = *std::move(parsed);
  }
  return std::unique_ptr<Certificate>(new Certificate(*std::move(name), std::move(tenant)));
}

Result<Certificate::Template> Certificate::parse(std::string_view setting, std::string_view text) {
  constexpr std::string_view kAll = "{cn}, {o}, {ou}, {dns}, {uri}, {email}, {serial} and {fingerprint}";
  const auto wrong = [&](const std::string& why) {
    return fail(std::errc::invalid_argument, std::string(setting) + ": " + why);
  };
  Template parts;
  bool says_something = false;
  while (!text.empty()) {
    const size_t open = text.find('{');
    if (open != 0) {
      parts.push_back({std::string(text.substr(0, open))});
      if (open == std::string_view::npos) break;
      text.remove_prefix(open);
    }
    const size_t close = text.find('}');
    if (close == std::string_view::npos) return wrong("a { without its }");
    const std::string_view name = text.substr(1, close - 1);
    const Field* found = nullptr;
    for (const Field& field : kFields) {
      if (field.name == name) found = &field;
    }
    if (!found) return wrong("there is no {" + std::string(name) + "}; there are " + std::string(kAll));
    parts.push_back({{}, found->of});
    says_something = true;
    text.remove_prefix(close + 1);
  }
  if (!says_something) return wrong("it must have at least one of " + std::string(kAll));
  return parts;
}

std::string Certificate::fill(const Template& parts, const Shown& certificate) {
  std::string filled;
  for (const Part& part : parts) {
    const std::string_view text = part.field ? part.field(certificate) : std::string_view(part.text);
    if (text.empty()) return {};
    filled += text;
  }
  return filled;
}

void Certificate::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  Decision decision;
  const Shown* shown =
      credentials.tls && credentials.tls->certificate ? &*credentials.tls->certificate : nullptr;
  std::string name = shown ? fill(username_, *shown) : std::string();
  if (name.empty()) return done(std::move(decision));
  std::string tenant = mountpoint_.empty() ? credentials.mountpoint : fill(mountpoint_, *shown);
  if (tenant.empty() && !mountpoint_.empty()) {
    decision.verdict = Verdict::deny;
    decision.why = "the certificate of \"" + name + "\" lacks what auth.certificate_mountpoint is made of";
    return done(std::move(decision));
  }
  decision.verdict = Verdict::allow;
  decision.identity.username = std::move(name);
  decision.identity.mountpoint = std::move(tenant);
  decision.identity.anonymous = false;
  done(std::move(decision));
}

}  // namespace courier::auth
