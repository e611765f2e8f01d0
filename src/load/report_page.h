// The HTML report without its figures: report.html, as it is compiled in
// (courier_text in cmake/folder.cmake).
#pragma once

#include <string_view>

namespace courier::load {

extern const std::string_view kReportPage;

}  // namespace courier::load
