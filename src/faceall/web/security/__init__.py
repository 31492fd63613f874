"""Access control and protection: API keys, sessions, request checks, rate and size limits.

`guard` applies the others to each request:

=====================  ==================================================================
`guard`                `Guard`, the checks before and after each route
`keys`                 `Keys` and `Sessions`, API keys and browser sessions
`headers`              security headers, Host header and Origin checks
`proxy`                headers of a reverse proxy, and a root path
`limits`               `DecodeBudget`, `RateLimit`, `parse_json`
`slow_clients`         slow-client protection in the waitress server
=====================  ==================================================================
"""
