// A diagnosis for people, in 80 columns, and for scripts, as JSON. Pure.
#pragma once

#include <string>

#include "courier/doctor/diagnosis.h"

namespace courier::cli::doctor {

inline constexpr size_t kReportColumns = 80;

std::string report_text(const Examined& examined, const Diagnosis& diagnosis);
std::string report_json(const Examined& examined, const Diagnosis& diagnosis);

}  // namespace courier::cli::doctor
