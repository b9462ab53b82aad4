"""The night watch: keeps a history of nights and says what got worse since. docs/night-watch.md says how it decides."""
