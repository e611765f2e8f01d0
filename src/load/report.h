// The HTML report: one file, with its plots, that needs nothing else. What it shows is in report.html.
#pragma once

#include <string>

#include "load/result.h"

namespace courier::load {

std::string to_html(const RunResult& result);

}  // namespace courier::load
