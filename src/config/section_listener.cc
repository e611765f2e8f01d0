// [[listener]]: where clients come in, and over what.
#include "config/check_text.h"
#include "config/sections.h"

namespace courier::config {

Section listener_section() {
  Rows listeners = rows<&Settings::listeners>();
  listeners.in_sample = true;  // a node is nothing without one
  return {
      "listener",
      "A socket on which MQTT clients connect; repeat the section for more. Without any there is one, named "
      "mqtt, on 0.0.0.0:1883.",
      true,
      {
          {.name = "name",
           .kind = Kind::text,
           .member = member<&Listener::name>(),
           .help = "Names the listener in logs, metrics and overrides (listener.NAME.bind). Without one: "
                   "listener- and its index, from 0.",
           .check = check_listener_name,
           .example = "mobile"},
          {.name = "bind",
           .kind = Kind::text,
           .member = member<&Listener::bind>(),
           .help = "Address and port, \"0.0.0.0:1883\" or \"[::]:1883\", or a Unix socket, "
                   "\"unix:/run/courier/mqtt.sock\". Port 0 takes any that is free.",
           .check = check_bind,
           .example = "0.0.0.0:1883",
           .required = true},
          {.name = "protocol",
           .kind = Kind::choice,
           .member = member<&Listener::protocol>(),
           .help = "What is spoken on it: MQTT as it is, over TLS (mqtts), over WebSocket (ws), or over both "
                   "(wss).",
           .choices = {"mqtt", "mqtts", "ws", "wss"}},
          {.name = "proxy_protocol",
           .kind = Kind::choice,
           .member = member<&Listener::proxy_protocol>(),
           .help = "Whether a load balancer puts a PROXY header (v1 or v2) before the client's first byte. "
                   "required: a connection without one is closed. optional: both kinds are served.",
           .choices = {"off", "optional", "required"},
           .reloadable = true},
          {.name = "proxy_trusted",
           .kind = Kind::text_list,
           .member = member<&Listener::proxy_trusted>(),
           .help = "Networks whose PROXY headers are believed. The default is everybody's: then keep this "
                   "port out "
                   "of reach of all but the load balancer.",
           .check = check_cidr,
           .example = "\"10.0.0.0/8\", \"fd00::/8\"",
           .reloadable = true},
          {.name = "connections_max",
           .kind = Kind::count,
           .member = member<&Listener::connections_max>(),
           .help = "Open connections; one more is closed at once.",
           .max = 100'000'000,
           .zero_means = "no limit but the process's open files",
           .reloadable = true},
          {.name = "mountpoint",
           .kind = Kind::text,
           .member = member<&Listener::mountpoint>(),
           .help = "Puts this listener's clients into a space of client ids and topics of its own.",
           .check = check_mountpoint,
           .example = "tenant-a"},
          {.name = "v3_1_1_extensions",
           .kind = Kind::boolean,
           .member = member<&Listener::v3_1_1_extensions>(),
           .help = "Accepts what one family of Android clients adds to MQTT 3.1.1: user properties after the "
                   "password of a CONNECT, and the option bits 0x04 and 0x08 in a SUBSCRIBE. Others would be "
                   "closed for them.",
           .reloadable = true},
          {.name = "tls_certificates",
           .kind = Kind::text_list,
           .member = member<&Listener::tls_certificates>(),
           .help = "PEM files: in each the server's certificate, then those above it. A client gets the one "
                   "whose names have the name it asks for (SNI), else the first. SIGHUP reads all of a "
                   "listener's TLS files again; no connection is dropped.",
           .check = check_input_file,
           .example = "\"/etc/courier/tls/broker.pem\"",
           .reloadable = true},
          {.name = "tls_keys",
           .kind = Kind::text_list,
           .member = member<&Listener::tls_keys>(),
           .help = "PEM files: the private keys, in the order of tls_certificates. Empty: each stands in the "
                   "file of its certificate.",
           .check = check_input_file,
           .example = "\"/etc/courier/tls/broker.key\"",
           .reloadable = true},
          {.name = "tls_ocsp_files",
           .kind = Kind::text_list,
           .member = member<&Listener::tls_ocsp_files>(),
           .help = "DER files: OCSP responses to staple, in the order of tls_certificates, \"\" where there "
                   "is none. Something else fetches them and sends SIGHUP.",
           .check = check_input_file,
           .example = "\"/etc/courier/tls/broker.ocsp\"",
           .reloadable = true},
          {.name = "tls_version_min",
           .kind = Kind::choice,
           .member = member<&Listener::tls_version_min>(),
           .help = "The oldest version of TLS that is spoken.",
           .choices = {"1.2", "1.3"},
           .reloadable = true},
          {.name = "tls_ciphers",
           .kind = Kind::text,
           .member = member<&Listener::tls_ciphers>(),
           .help = "Cipher suites of TLS 1.2, as OpenSSL names them.",
           .reloadable = true},
          {.name = "tls_ciphersuites",
           .kind = Kind::text,
           .member = member<&Listener::tls_ciphersuites>(),
           .help = "Cipher suites of TLS 1.3.",
           .reloadable = true},
          {.name = "tls_alpn",
           .kind = Kind::text_list,
           .member = member<&Listener::tls_alpn>(),
           .help = "Protocols that may be agreed on (ALPN). A client that offers only others is refused; one "
                   "that offers none is served. Empty: mqtt for mqtts, http/1.1 for wss.",
           .check = check_alpn,
           .example = "\"mqtt\"",
           .reloadable = true},
          {.name = "tls_client_certificates",
           .kind = Kind::choice,
           .member = member<&Listener::tls_client_certificates>(),
           .help = "Whether clients show certificates (mTLS). optional: a client without one is served, one "
                   "with a bad one is not. See auth.certificate_username for what they say about the client.",
           .choices = {"off", "optional", "required"},
           .reloadable = true},
          {.name = "tls_client_ca_file",
           .kind = Kind::text,
           .member = member<&Listener::tls_client_ca_file>(),
           .help = "PEM file: who issues the clients' certificates.",
           .check = check_input_file,
           .example = "/etc/courier/tls/clients-ca.pem",
           .reloadable = true},
          {.name = "tls_crl_files",
           .kind = Kind::text_list,
           .member = member<&Listener::tls_crl_files>(),
           .help = "PEM or DER files: lists of revoked certificates. With any, each issuer needs a current "
                   "one, or its clients are refused.",
           .check = check_input_file,
           .example = "\"/etc/courier/tls/clients.crl\"",
           .reloadable = true},
          {.name = "tls_ticket_lifetime",
           .kind = Kind::duration,
           .member = member<&Listener::tls_ticket_lifetime>(),
           .help =
               "For how long a client may come back without a full handshake. Keys of tickets are kept in "
               "memory only, and change as often.",
           .min = kSecond,
           .max = 7 * kDay,
           .zero_means = "always a full handshake",
           .reloadable = true},
          {.name = "websocket_path",
           .kind = Kind::text,
           .member = member<&Listener::websocket_path>(),
           .help = "The path that WebSocket clients ask for.",
           .check = check_url_path,
           .reloadable = true},
          {.name = "websocket_origins",
           .kind = Kind::text_list,
           .member = member<&Listener::websocket_origins>(),
           .help =
               "Web pages that may connect: \"https://app.example.com\", \"*.example.com\". A browser says "
               "where its page is from; who says nothing is no browser and is let in. Empty: all.",
           .example = "\"https://app.example.com\"",
           .reloadable = true},
          {.name = "websocket_subprotocol_required",
           .kind = Kind::boolean,
           .member = member<&Listener::websocket_subprotocol_required>(),
           .help = "Refuse WebSocket clients that do not name a subprotocol; the standard asks them to name "
                   "mqtt. One that names only others is refused in any case.",
           .reloadable = true},
          {.name = "websocket_frame_bytes_max",
           .kind = Kind::bytes,
           .member = member<&Listener::websocket_frame_bytes_max>(),
           .help = "The largest WebSocket frame from a client. Frames are not gathered, so a large one costs "
                   "no memory; limits.packet_bytes_max is what bounds that.",
           .min = kKB,
           .max = 256 * kMB,
           .reloadable = true},
      },
      listeners};
}

}  // namespace courier::config
