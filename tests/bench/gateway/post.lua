-- Each request a new event. What was answered is printed as a line of JSON at the end.
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

local count = 0
local run = os.getenv("RUN")

function request()
    count = count + 1
    local body = string.format('{"imp_uid": "imp_%s_%d_%d"}', run, number, count)
    return wrk.format("POST", "/certifications", {["Content-Type"] = "application/json"}, body)
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"answers": %d, "refused": %d, "broken": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "p999_ms": %f}\n',
        summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
        summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        latency:percentile(99.9) / 1e3))
end
