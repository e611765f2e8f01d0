#include "courier/connection_flags.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "client/errc.h"
#include "net/errc.h"
#include "net/tls/errc.h"
#include "net/websocket/errc.h"

namespace courier::cli {
namespace {

using client::ConnectOptions;
using client::errc;
using client::Version;

Failure usage(std::string text) {
  return fail(errc::invalid_argument, std::move(text));
}

std::optional<Version> version_of(std::string_view text) {
  if (text == "5" || text == "5.0" || text == "mqttv5") return Version::v5;
  if (text == "311" || text == "3.1.1" || text == "mqttv311") return Version::v3_1_1;
  if (text == "31" || text == "3.1" || text == "mqttv31") return Version::v3_1;
  return std::nullopt;
}

// "%40" becomes "@"; a percent sign without two digits stands for itself.
std::string url_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    uint8_t byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr == text.data() + i + 3) {
      out.push_back(static_cast<char>(byte));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace

int exit_of(const std::error_code& code) {
  if (code == errc::invalid_argument) return kUsage;
  if (code == errc::refused) return kRefused;
  if (code == errc::timed_out) return kTimeout;
  if (code == errc::cannot_connect || code == errc::connection_lost || code == errc::not_connected) {
    return kNoConnection;
  }
  if (code == net::errc::unknown_host) return kNoConnection;
  return kFailure;
}

int exit_of(const client::Ending& ending) {
  const bool refused = ending.cause == net::tls::errc::refused_by_peer ||
                       ending.cause == net::websocket::errc::upgrade_refused;
  return refused ? kRefused : exit_of(ending.code);
}

void ConnectionFlags::add_to(CLI::App& app) {
  app.set_help_flag("--help", "Show this help and exit");
  const char* group = "Connection";
  app.add_option("-h,--host", host_, "Server to connect to (localhost)")->type_name("HOST")->group(group);
  app.add_option("-p,--port", port_, "Its port (1883; with TLS 8883, see -L for others)")
      ->type_name("PORT")
      ->check(between(1, 65'535))
      ->group(group);
  app.add_option(
         "-L,--url", url_,
         "All in one: mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC, with TLS mqtts:// (port 8883); over "
         "WebSocket ws://HOST[:PORT]/PATH (80) and wss:// (443), the path being /mqtt if it is left out")
      ->type_name("URL")
      ->group(group);
  app.add_option("--unix", unix_path_, "Connect to a Unix socket instead")->type_name("PATH")->group(group);
  app.add_option("-u,--username", username_, "User name")->type_name("USER")->group(group);
  app.add_option("-P,--password", password_, "Password")->type_name("PASSWORD")->group(group);
  app.add_option("-i,--id", client_id_, "Client id (the server assigns one)")->type_name("ID")->group(group);
  app.add_option("-I,--id-prefix", client_id_prefix_, "Client id: this and the process id")
      ->type_name("PREFIX")
      ->group(group);
  app.add_option("-V,--protocol-version", version_, "Protocol version: 5 (default), 311 or 31")
      ->type_name("VERSION")
      ->group(group);
  app.add_option("-k,--keepalive", keep_alive_, "Keep-alive in seconds (60); 0 for none")
      ->type_name("SECONDS")
      ->check(between(0, 65'535))
      ->group(group);
  app.add_option("-A,--bind", bind_, "Connect from this address")->type_name("ADDRESS")->group(group);
  app.add_flag("-c,--disable-clean-session", keep_session_, "Keep the session when this ends; needs -i")
      ->group(group);
  app.add_option("-x,--session-expiry", session_expiry_,
                 "Keep the session for so long after this ends; -1 for ever (5.0)")
      ->type_name("SECONDS")
      ->group(group);
  app.add_option("-M,--max-inflight", inflight_maximum_, "Unacknowledged messages at a time (20)")
      ->type_name("COUNT")
      ->check(between(1, 65'535))
      ->group(group);
  app.add_option("-D,--property", property_words_, "A property of 5.0, see below; repeatable")
      ->type_name("COMMAND PROPERTY VALUE")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  app.add_option("--proxy-header", proxy_version_, "Send a PROXY protocol header first, version 1 or 2")
      ->type_name("1|2")
      ->check(between(1, 2))
      ->group(group);
  app.add_option("--proxy-source", proxy_source_, "The client's address in that header (192.0.2.1:40000)")
      ->type_name("IP:PORT")
      ->group(group);
  app.add_flag("--nodelay", no_delay_, "Accepted for compatibility: always on")->group(group);
  app.add_flag("-d,--debug", debug_, "Say on stderr what happens")->group(group);
  app.add_flag("--quiet", quiet_, "Say nothing on stderr")->group(group);

  transport_.add_to(app);

  group = "Will";
  app.add_option("--will-topic", will_topic_, "Topic of the will, published when the connection breaks")
      ->type_name("TOPIC")
      ->group(group);
  app.add_option("--will-payload", will_payload_, "Its payload")->type_name("TEXT")->group(group);
  app.add_option("--will-qos", will_qos_, "Its QoS (0)")
      ->type_name("QOS")
      ->check(between(0, 2))
      ->group(group);
  app.add_flag("--will-retain", will_retain_, "Retain it")->group(group);
}

Result<void> ConnectionFlags::take_target() const {
  if (target_.empty()) return {};
  if (target_.find("://") != std::string::npos) {
    url_ = target_;
    return {};
  }
  size_t colon = target_.rfind(':');
  if (target_.starts_with('[')) {
    const size_t bracket = target_.find(']');
    if (bracket == std::string::npos) return usage(fmt::format("{}: a ] is missing", target_));
    host_ = target_.substr(1, bracket - 1);
    colon = bracket + 1 < target_.size() ? bracket + 1 : std::string::npos;
  } else if (colon != target_.find(':')) {  // an IPv6 address alone
    host_ = target_;
    return {};
  } else {
    host_ = target_.substr(0, colon);
  }
  if (colon == std::string::npos) return {};
  int port = 0;
  const char* end = target_.data() + target_.size();
  const auto [at, error] = std::from_chars(target_.data() + colon + 1, end, port);
  if (target_[colon] != ':' || error != std::errc() || at != end || port < 1 || port > 65'535) {
    return usage(
        fmt::format("{}: it must be HOST, HOST:PORT with a port from 1 to 65535, or a URL", target_));
  }
  port_ = port;
  return {};
}

Result<void> ConnectionFlags::take_url() const {
  std::string_view rest = url_;
  constexpr std::string_view kMark = "://";
  const size_t mark = rest.find(kMark);
  if (mark != std::string_view::npos) scheme_ = client::scheme_of(rest.substr(0, mark));
  if (!scheme_) {
    return usage(fmt::format(
        "-L {}: the URL must read mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC, or begin with mqtts://, "
        "ws:// or wss://",
        url_));
  }
  rest.remove_prefix(mark + kMark.size());
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    if (over_websocket(*scheme_)) {
      websocket_path_ = rest.substr(slash);
      const auto odd = [](char c) { return c <= ' ' || c > '~' || c == '#'; };
      if (std::ranges::any_of(websocket_path_, odd)) {
        return usage(
            fmt::format("-L {}: in the path such characters are written as %20, with their number", url_));
      }
    } else if (slash + 1 < rest.size()) {
      url_topic_ = url_decoded(rest.substr(slash + 1));
    }
    rest = rest.substr(0, slash);
  }
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    const size_t colon = user.find(':');
    username_ = url_decoded(user.substr(0, colon));
    if (colon != std::string_view::npos) password_ = url_decoded(user.substr(colon + 1));
    rest.remove_prefix(at + 1);
  }
  size_t colon = rest.rfind(':');
  if (rest.starts_with('[')) {  // [::1]:1883
    const size_t bracket = rest.find(']');
    if (bracket == std::string_view::npos) return usage(fmt::format("-L {}: a ] is missing", url_));
    host_ = rest.substr(1, bracket - 1);
    colon = bracket + 1 < rest.size() ? bracket + 1 : std::string_view::npos;
  } else if (!rest.substr(0, colon).empty()) {
    host_ = rest.substr(0, colon);
  }
  if (colon == std::string_view::npos) return {};
  const std::string_view digits = rest.substr(colon + 1);
  int port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port < 1 || port > 65'535) {
    return usage(fmt::format("-L {}: \"{}\" is not a port", url_, digits));
  }
  port_ = port;
  return {};
}

std::string ConnectionFlags::where() const {
  if (!unix_path_.empty()) return unix_path_;
  const int port = port_.value_or(default_port(scheme_.value_or(Scheme::mqtt)));
  return host_.find(':') == std::string::npos ? fmt::format("{}:{}", host_, port)
                                              : fmt::format("[{}]:{}", host_, port);
}

Result<ConnectOptions> ConnectionFlags::connect_options() const {
  ConnectOptions options;
  const auto version = version_of(version_);
  if (!version) return usage(fmt::format("-V {}: the versions are 5, 311 and 31", version_));
  options.version = *version;
  const bool v5 = *version == Version::v5;
  auto properties = PropertyFlags::parse(property_words_);
  if (!properties) return fail(properties.error());
  properties_ = std::move(*properties);
  if (!v5 && !property_words_.empty()) return usage("-D: only MQTT 5.0 has properties; leave -V out");
  if (!v5 && !session_expiry_.empty()) return usage("-x: only MQTT 5.0 has a session expiry; use -c");

  options.clean_start = !keep_session_;
  options.keep_alive_seconds = static_cast<uint16_t>(keep_alive_);
  options.username = username_;
  options.password = password_;
  options.inflight_maximum = inflight_maximum_;
  properties_.apply_to(options);
  if (v5 && keep_session_) options.session_expiry_seconds = client::kSessionNeverExpires;
  if (session_expiry_ == "-1" || session_expiry_ == "∞") {
    options.session_expiry_seconds = client::kSessionNeverExpires;
  } else if (!session_expiry_.empty()) {
    uint32_t seconds = 0;
    const char* end = session_expiry_.data() + session_expiry_.size();
    if (std::from_chars(session_expiry_.data(), end, seconds).ptr != end) {
      return usage(fmt::format("-x {}: it is a number of seconds, or -1 for a session that never expires",
                               session_expiry_));
    }
    options.session_expiry_seconds = seconds;
  }
  if (will_topic_) {
    options.will = client::WillMessage{.topic = *will_topic_,
                                       .payload = will_payload_,
                                       .qos = static_cast<client::Qos>(will_qos_),
                                       .retain = will_retain_,
                                       .delay_seconds = properties_.will_delay_seconds,
                                       .properties = properties_.will};
  } else if (!will_payload_.empty() || will_retain_ || will_qos_ != 0) {
    return usage("a will needs --will-topic");
  }
  return options;
}

std::string ConnectionFlags::url() const {
  const Scheme scheme = scheme_.value_or(Scheme::mqtt);
  return fmt::format("{}://{}{}", name(scheme), where(), over_websocket(scheme) ? websocket_path_ : "");
}

Result<client::ClientSetup> ConnectionFlags::setup() const {
  if (auto ok = take_target(); !ok) return fail(ok.error());
  if (!url_.empty()) {
    if (auto ok = take_url(); !ok) return fail(ok.error());
  }
  if (!scheme_) {  // as mosquitto's clients: by the flags, or by the port
    const bool tls = !transport_.tls_flag().empty() || port_ == default_port(Scheme::mqtts);
    scheme_ = tls ? Scheme::mqtts : Scheme::mqtt;
  }
  auto options = connect_options();
  if (!options) return fail(options.error());

  client::ClientSetup setup;
  setup.client_id = client_id_;
  if (!client_id_prefix_.empty()) setup.client_id = client_id_prefix_ + std::to_string(::getpid());
  if (setup.client_id.empty()) {
    if (keep_session_) return usage("-c: a session that is to be found again needs a client id: -i ID");
    if (options->version == Version::v3_1) {
      setup.client_id = fmt::format("courier-{}-{}", command_, ::getpid() % 10'000'000);
    }
  }
  if (auto ok = client::Engine::check(setup.client_id, *options); !ok) return fail(ok.error());
  setup.connect = std::make_shared<const ConnectOptions>(std::move(*options));

  auto transport = transport_.maker(*scheme_, host_, where(), websocket_path_);
  if (!transport) return fail(transport.error());
  setup.transport = *std::move(transport);
  if (transport_.insecure())
    say("the server's certificate is not checked (--insecure): whoever answers is believed");
  if (!bind_.empty()) {
    auto source = net::SocketAddress::from_ip(bind_, 0);
    if (!source) return usage(fmt::format("-A {}: {}", bind_, source.error().message));
    setup.source = *source;
  }
  if (!unix_path_.empty()) {
    auto address = net::SocketAddress::unix_path(unix_path_);
    if (!address) return usage(fmt::format("--unix {}: {}", unix_path_, address.error().message));
    setup.server = client::Endpoint::of(*address);
  } else {
    auto server =
        client::Endpoint::resolve(host_, static_cast<uint16_t>(port_.value_or(default_port(*scheme_))));
    if (!server) {
      return fail(
          Error(server.error().code, server.error().message + ". Check the name given with -h HOST."));
    }
    setup.server = *server;
  }
  if (proxy_version_ != 0) {
    const std::string source_text = proxy_source_.empty() ? "192.0.2.1:40000" : proxy_source_;
    auto source = net::SocketAddress::parse(source_text);
    if (!source) return usage(fmt::format("--proxy-source {}: {}", source_text, source.error().message));
    setup.preamble = client::proxy_preamble(proxy_version_, *source, setup.server->addresses.front());
  } else if (!proxy_source_.empty()) {
    return usage("--proxy-source needs --proxy-header");
  }
  return setup;
}

std::string ConnectionFlags::sentence(const client::Ending& ending) const {
  std::string text = ending.message;
  if (!ending.reason_string.empty()) text += fmt::format(" (\"{}\")", ending.reason_string);
  if (!text.ends_with('?')) text += '.';
  using client::ReasonCode;
  const Scheme scheme = scheme_.value_or(Scheme::mqtt);
  if (const std::string advice = transport_.advice(ending.cause, scheme, host_); !advice.empty()) {
    text += advice;
  } else if (ending.cause == net::errc::refused) {
    text += fmt::format(" Is courierd running at {}? Another place: -h HOST -p PORT.", where());
  } else if (ending.cause == net::errc::timed_out || ending.cause == net::errc::unreachable) {
    text += fmt::format(" Can {} be reached from here?", where());
  } else if (ending.code == errc::timed_out) {
    text += fmt::format(" Is a listener for {}:// at {}? One behind a balancer may want --proxy-header.",
                        name(scheme), where());
  } else if (ending.code == errc::refused && !ending.reason) {
    text += over_tls(scheme)
                ? " It may want a certificate (--cert), a --proxy-header, or another version of the "
                  "protocol: -V 311."
                : " It may want TLS (mqtts://), a --proxy-header, or another version of the "
                  "protocol: -V 311.";
  } else if (ending.code == errc::cannot_connect && (!ending.cause || ending.cause == net::errc::system)) {
    text += fmt::format(" Does that port speak {}://? One behind a balancer may want --proxy-header.",
                        name(scheme));
  } else if (ending.reason == ReasonCode::bad_user_name_or_password) {
    text += username_ ? " Check -u USER and -P PASSWORD." : " It wants a user: -u USER -P PASSWORD.";
  } else if (ending.reason == ReasonCode::not_authorized) {
    text += username_ ? fmt::format(" User \"{}\" may not do this.", *username_)
                      : " It may want a user: -u USER -P PASSWORD.";
  } else if (ending.reason == ReasonCode::client_identifier_not_valid) {
    text += " Choose another client id: -i ID.";
  } else if (ending.reason == ReasonCode::unsupported_protocol_version) {
    text += " Try an older version of the protocol: -V 311.";
  } else if (ending.reason == ReasonCode::session_taken_over) {
    text += " Another client connected with the same client id; choose another: -i ID.";
  }
  if (!ending.server_reference.empty())
    text += fmt::format(" It names another server: {}.", ending.server_reference);
  return text;
}

}  // namespace courier::cli
