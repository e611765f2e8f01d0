// courier completion: scripts for the shells, generated from the commands and flags as they are declared, so
// that they cannot be out of date.
#include <algorithm>
#include <cstdio>
#include <memory>

#include <fmt/ranges.h>

#include "courier/command.h"

namespace courier::cli {
namespace {

struct Node {
  std::string path;  // "pub", "config check"
  std::vector<const CLI::App*> subcommands;
  std::vector<const CLI::Option*> options, positionals;
};

void collect(const CLI::App& app, const std::string& path, std::vector<Node>& nodes) {
  Node node{path, app.get_subcommands([](const CLI::App*) { return true; }),
            app.get_options([](const CLI::Option* o) { return o->nonpositional(); }),
            app.get_options([](const CLI::Option* o) { return o->get_positional(); })};
  nodes.push_back(node);
  for (const CLI::App* sub : node.subcommands) {
    collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), nodes);
  }
}

std::vector<std::string> spellings(const CLI::Option& option) {
  std::vector<std::string> words;
  for (const std::string& name : option.get_snames()) words.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) words.push_back("--" + name);
  return words;
}

bool takes_file(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type == "FILE" || type == "PATH";
}

// "table json ndjson" of an option that takes one of these; CLI11 says them in its type,
// "KIND:{table,json,ndjson}".
std::string choices(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t begin = type.find('{'), end = type.rfind('}');
  if (begin == std::string::npos || end == std::string::npos) return "";
  std::string words = type.substr(begin + 1, end - begin - 1);
  std::replace(words.begin(), words.end(), ',', ' ');
  return words;
}

std::string shell_quoted(std::string text) {
  for (size_t i = 0; (i = text.find('\'', i)) != std::string::npos; i += 4) text.replace(i, 1, "'\\''");
  return "'" + text + "'";
}

std::string bash(const std::vector<Node>& nodes) {
  std::string out =
      "# bash completion for courier. Load it with: source <(courier completion bash)\n"
      "_courier_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$2\"); }\n"
      "_courier_files() {\n"
      "  compopt -o filenames 2>/dev/null\n"
      "  mapfile -t COMPREPLY < <(compgen -f -- \"$1\")\n"
      "}\n"
      "_courier() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= word words= flags=\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$path $word\" in\n";
  for (const Node& node : nodes) {
    for (const CLI::App* sub : node.subcommands) {
      out +=
          fmt::format("      {}) path={} ;;\n", shell_quoted(node.path + " " + sub->get_name()),
                      shell_quoted(node.path.empty() ? sub->get_name() : node.path + " " + sub->get_name()));
    }
  }
  out += "    esac\n  done\n  case \"$path $prev\" in\n";
  for (const Node& node : nodes) {
    std::vector<std::string> files, values;
    for (const CLI::Option* option : node.options) {
      if (option->get_items_expected_max() == 0) continue;
      std::vector<std::string> spelled;
      for (const std::string& word : spellings(*option))
        spelled.push_back(shell_quoted(node.path + " " + word));
      const std::string known = choices(*option);
      if (!known.empty()) {
        out += fmt::format("    {}) _courier_words {} \"$cur\"; return ;;\n", fmt::join(spelled, "|"),
                           shell_quoted(known));
        continue;
      }
      auto& into = takes_file(*option) ? files : values;
      into.insert(into.end(), spelled.begin(), spelled.end());
    }
    if (!files.empty())
      out += fmt::format("    {}) _courier_files \"$cur\"; return ;;\n", fmt::join(files, "|"));
    if (!values.empty()) out += fmt::format("    {}) return ;;\n", fmt::join(values, "|"));
  }
  out += "  esac\n  case \"$path\" in\n";
  for (const Node& node : nodes) {
    std::vector<std::string> words, flags;
    for (const CLI::App* sub : node.subcommands) words.push_back(sub->get_name());
    for (const CLI::Option* positional : node.positionals) {
      if (const std::string known = choices(*positional); !known.empty()) words.push_back(known);
    }
    for (const CLI::Option* option : node.options) {
      for (const std::string& word : spellings(*option)) flags.push_back(word);
    }
    out += fmt::format("    {}) words={} flags={} ;;\n", shell_quoted(node.path),
                       shell_quoted(fmt::format("{}", fmt::join(words, " "))),
                       shell_quoted(fmt::format("{}", fmt::join(flags, " "))));
  }
  out +=
      "  esac\n"
      "  if [[ $cur == -* ]]; then _courier_words \"$flags\" \"$cur\"; return; fi\n"
      "  _courier_words \"$words\" \"$cur\"\n"
      "  [[ ${#COMPREPLY[@]} -gt 0 || -z $path ]] || _courier_files \"$cur\"\n"
      "}\n"
      "complete -F _courier courier\n";
  return out;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string fish(const std::vector<Node>& nodes) {
  std::string out =
      "# fish completion for courier. Load it with: courier completion fish | source\n"
      "function __courier_at\n"
      "  set -l words (commandline -opc)\n"
      "  set -l found\n"
      "  for word in $words[2..-1]\n"
      "    string match -q -- '-*' $word; and continue\n"
      "    set -a found $word\n"
      "  end\n"
      "  set -l path (string split ' ' -- $argv[1])\n"
      "  test \"$argv[1]\" = ''; and set path\n"
      "  test (count $found) -ge (count $path); or return 1\n"
      "  for i in (seq (count $path))\n"
      "    test \"$found[$i]\" = \"$path[$i]\"; or return 1\n"
      "  end\n"
      "  test -n \"$argv[2]\"; or return 0\n"
      "  test (count $found) -eq (count $path)\n"
      "end\n";
  for (const Node& node : nodes) {
    const std::string condition = fmt::format("__courier_at \"{}\"", node.path);
    for (const CLI::Option* positional : node.positionals) {
      if (const std::string known = choices(*positional); !known.empty()) {
        out +=
            fmt::format("complete -c courier -f -n {} -a {}\n", shell_quoted(condition), shell_quoted(known));
      }
    }
    for (const CLI::App* sub : node.subcommands) {
      out += fmt::format("complete -c courier -f -n {} -a {} -d {}\n", shell_quoted(condition + " last"),
                         shell_quoted(sub->get_name()), shell_quoted(first_line(sub->get_description())));
    }
    for (const CLI::Option* option : node.options) {
      out += fmt::format("complete -c courier -n {}",
                         shell_quoted(condition + (node.path.empty() ? " last" : "")));
      for (const std::string& name : option->get_snames()) out += " -s " + name;
      for (const std::string& name : option->get_lnames()) out += " -l " + name;
      const std::string known = choices(*option);
      if (option->get_items_expected_max() > 0) out += takes_file(*option) ? " -r -F" : " -x";
      if (!known.empty()) out += " -a " + shell_quoted(known);
      out += fmt::format(" -d {}\n", shell_quoted(first_line(option->get_description())));
    }
  }
  return out;
}

std::string zsh_word(std::string text) {
  for (size_t i = 0; (i = text.find_first_of("[]:\\", i)) != std::string::npos; i += 2) text.insert(i, "\\");
  return text;
}

std::string zsh_function(const std::string& path) {
  std::string name = "_courier";
  for (char c : path.empty() ? path : "_" + path) name += c == ' ' || c == '-' ? '_' : c;
  return name;
}

std::string zsh(const std::vector<Node>& nodes) {
  std::string out =
      "#compdef courier\n# zsh completion for courier. Load it with: source <(courier completion zsh)\n";
  for (const Node& node : nodes) {
    out += fmt::format("{}() {{\n  local curcontext=$curcontext state line\n  _arguments -C \\\n",
                       zsh_function(node.path));
    for (const CLI::Option* option : node.options) {
      for (const std::string& word : spellings(*option)) {
        std::string value;
        if (option->get_items_expected_max() > 0) {
          const std::string known = choices(*option), type = option->get_type_name();
          const std::string action = !known.empty() ? "(" + known + ")" : takes_file(*option) ? "_files" : "";
          value = fmt::format(":{}:{}", zsh_word(type.substr(0, type.find(':'))), action);
        }
        out += fmt::format("    {} \\\n",
                           shell_quoted(fmt::format("*{}[{}]{}", word,
                                                    zsh_word(first_line(option->get_description())), value)));
      }
    }
    if (node.subcommands.empty()) {
      std::string known;
      for (const CLI::Option* positional : node.positionals) known += choices(*positional);
      out += known.empty() ? "    '*:file:_files'\n}\n" : fmt::format("    '1:word:({})'\n}}\n", known);
      continue;
    }
    out += "    '1: :->command' '*:: :->rest'\n  case $state in\n    command) local -a words=(";
    for (const CLI::App* sub : node.subcommands) {
      out += " " + shell_quoted(zsh_word(sub->get_name()) + ":" + first_line(sub->get_description()));
    }
    out += " ); _describe command words ;;\n    rest) case $line[1] in\n";
    for (const CLI::App* sub : node.subcommands) {
      const std::string path = node.path.empty() ? sub->get_name() : node.path + " " + sub->get_name();
      out += fmt::format("      {}) {} ;;\n", sub->get_name(), zsh_function(path));
    }
    out += "    esac ;;\n  esac\n}\n";
  }
  // As a file of $fpath this is the body of _courier itself, and is to complete at once.
  out += "if [[ ${funcstack[1]} == _courier ]]; then _courier \"$@\"; else compdef _courier courier; fi\n";
  return out;
}

}  // namespace

Run set_up_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  app.footer(
      "Examples:\n"
      "  source <(courier completion bash)                                        for this shell\n"
      "  courier completion bash > /etc/bash_completion.d/courier                 for everyone\n"
      "  courier completion zsh > \"${fpath[1]}/_courier\"\n"
      "  courier completion fish > ~/.config/fish/completions/courier.fish");
  return [shell, &app] {
    std::vector<Node> nodes;
    collect(*app.get_parent(), "", nodes);
    const std::string text = *shell == "bash" ? bash(nodes) : *shell == "fish" ? fish(nodes) : zsh(nodes);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return static_cast<int>(kOk);
  };
}

}  // namespace courier::cli
