// Lets in who showed a certificate that was verified (mTLS), under a name that the certificate has; it may
// say the tenant, too.
//
// Name and tenant are templates: text with {cn}, {o}, {ou}, {dns}, {uri}, {email} (the first of each),
// {serial} or {fingerprint} in it. Who showed no certificate, or one without what the name asks for, is for
// the next in the chain; one that has a name but no tenant is refused, since the listener's own would be
// another's. What the CONNECT says of user name and password is not looked at. Stateless, any thread; answers
// at once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/authenticator.h"
#include "base/result.h"

namespace courier::auth {

class Certificate final : public Authenticator {
 public:
  // An empty `mountpoint` is the listener's. Error: std::errc::invalid_argument, with what is wrong with
  // which.
  static Result<std::unique_ptr<Certificate>> open(std::string_view username,
                                                   std::string_view mountpoint = {});

  void authenticate(Credentials credentials, std::function<void(Decision)> done) override;

 private:
  struct Part {
    std::string text;
    std::string_view (*field)(const net::PeerCertificate&) = nullptr;  // instead of the text
  };
  using Template = std::vector<Part>;
  Certificate(Template username, Template mountpoint)
      : username_(std::move(username)), mountpoint_(std::move(mountpoint)) {}
  static Result<Template> parse(std::string_view setting, std::string_view text);
  // Empty: it lacks something.
  static std::string fill(const Template& parts, const net::PeerCertificate& certificate);

  const Template username_, mountpoint_;
};

}  // namespace courier::auth
