-- What Lua 5.1 to 5.4 and LuaJIT share; specs may use busted's words.
std = "min"
max_line_length = 120
files["spec"] = { std = "min+busted" }
-- The command brings its own Lua.
files["lua/trail/cli"] = { std = "lua54" }
files["examples"] = { std = "min" }
