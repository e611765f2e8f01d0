// Lets in who showed a certificate that was verified (mTLS), under a name that the certificate has.
//
// The name is a template: text with {cn}, {dns}, {uri}, {email} (the first of each), {serial} or
// {fingerprint} in it. Who showed no certificate, or one without what the template asks for, is for the next
// in the chain. What the CONNECT says of user name and password is not looked at. Stateless, any thread;
// answers at once.
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
  // Error: std::errc::invalid_argument, with what is wrong with the template.
  static Result<std::unique_ptr<Certificate>> open(std::string_view username);

  void authenticate(Credentials credentials, std::function<void(Decision)> done) override;

 private:
  struct Part {
    std::string text;
    std::string_view (*field)(const net::PeerCertificate&) = nullptr;  // instead of the text
  };
  explicit Certificate(std::vector<Part> username) : username_(std::move(username)) {}
  // Empty: it lacks something.
  std::string name(const net::PeerCertificate& certificate) const;

  const std::vector<Part> username_;
};

}  // namespace courier::auth
