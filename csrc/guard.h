// No exception leaves the library: functions of the C interface run their body in `guarded`.
#pragma once

#include <exception>
#include <stdexcept>

namespace fewbit {

// For fewbit_error(), for the thread that asks.
void keep_error(const char* message) noexcept;

// The value of body(), or `wrong` with the message kept.
template <class Result, class Body>
Result guarded(Result wrong, const Body& body) noexcept {
    try {
        return body();
    } catch (const std::exception& error) {
        keep_error(error.what());
    } catch (...) {
        keep_error("unknown failure");
    }
    return wrong;
}

inline void demand(bool right, const char* message) {
    if (!right) throw std::invalid_argument(message);
}

}  // namespace fewbit
