// courier completion: scripts for the shells, generated from the commands and flags as they are declared, so
// that they cannot be out of date.
#include <cstdio>
#include <memory>

#include <fmt/ranges.h>

#include "courier/command.h"

namespace courier::cli {
namespace {

struct Node {
  std::string path;  // "pub", "config check"
  std::vector<const CLI::App*> subcommands;
  std::vector<const CLI::Option*> options;
};

void collect(const CLI::App& app, const std::string& path, std::vector<Node>& nodes) {
  Node node{path, app.get_subcommands([](const CLI::App*) { return true; }),
            app.get_options([](const CLI::Option* o) { return o->nonpositional(); })};
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

std::string quoted(std::string text) {
  for (size_t i = 0; (i = text.find('\'', i)) != std::string::npos; i += 4) text.replace(i, 1, "'\\''");
  return "'" + text + "'";
}

std::string bash(const std::vector<Node>& nodes) {
  std::string out =
      "# bash completion for courier. Load it with: source <(courier completion bash)\n"
      "_courier() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= word words=\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$path $word\" in\n";
  for (const Node& node : nodes) {
    for (const CLI::App* sub : node.subcommands) {
      out += fmt::format("      {}) path={} ;;\n", quoted(node.path + " " + sub->get_name()),
                         quoted(node.path.empty() ? sub->get_name() : node.path + " " + sub->get_name()));
    }
  }
  out += "    esac\n  done\n  case \"$path $prev\" in\n";
  for (const Node& node : nodes) {
    std::vector<std::string> files, values;
    for (const CLI::Option* option : node.options) {
      if (option->get_items_expected_max() == 0) continue;
      for (const std::string& word : spellings(*option)) {
        (takes_file(*option) ? files : values).push_back(quoted(node.path + " " + word));
      }
    }
    if (!files.empty()) {
      out += fmt::format("    {}) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", fmt::join(files, "|"));
    }
    if (!values.empty()) out += fmt::format("    {}) return ;;\n", fmt::join(values, "|"));
  }
  out += "  esac\n  case \"$path\" in\n";
  for (const Node& node : nodes) {
    std::vector<std::string> words;
    for (const CLI::App* sub : node.subcommands) words.push_back(sub->get_name());
    for (const CLI::Option* option : node.options) {
      for (const std::string& word : spellings(*option)) words.push_back(word);
    }
    out += fmt::format("    {}) words={} ;;\n", quoted(node.path),
                       quoted(fmt::format("{}", fmt::join(words, " "))));
  }
  out +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
      "  [[ ${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- \"$cur\"))\n"
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
    for (const CLI::App* sub : node.subcommands) {
      out += fmt::format("complete -c courier -f -n {} -a {} -d {}\n", quoted(condition + " last"),
                         quoted(sub->get_name()), quoted(first_line(sub->get_description())));
    }
    for (const CLI::Option* option : node.options) {
      out += fmt::format("complete -c courier -n {}", quoted(condition + (node.path.empty() ? " last" : "")));
      for (const std::string& name : option->get_snames()) out += " -s " + name;
      for (const std::string& name : option->get_lnames()) out += " -l " + name;
      if (option->get_items_expected_max() > 0) out += takes_file(*option) ? " -r -F" : " -x";
      out += fmt::format(" -d {}\n", quoted(first_line(option->get_description())));
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
          value =
              fmt::format(":{}:{}", zsh_word(option->get_type_name()), takes_file(*option) ? "_files" : "");
        }
        out += fmt::format(
            "    {} \\\n",
            quoted(fmt::format("*{}[{}]{}", word, zsh_word(first_line(option->get_description())), value)));
      }
    }
    if (node.subcommands.empty()) {
      out += "    '*:file:_files'\n}\n";
      continue;
    }
    out += "    '1: :->command' '*:: :->rest'\n  case $state in\n    command) local -a words=(";
    for (const CLI::App* sub : node.subcommands) {
      out += " " + quoted(zsh_word(sub->get_name()) + ":" + first_line(sub->get_description()));
    }
    out += " ); _describe command words ;;\n    rest) case $line[1] in\n";
    for (const CLI::App* sub : node.subcommands) {
      const std::string path = node.path.empty() ? sub->get_name() : node.path + " " + sub->get_name();
      out += fmt::format("      {}) {} ;;\n", sub->get_name(), zsh_function(path));
    }
    out += "    esac ;;\n  esac\n}\n";
  }
  out += "compdef _courier courier\n";
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
