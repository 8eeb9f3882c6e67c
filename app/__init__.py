"""The desktop app: a tray icon and a window that show one engine and ask things of it.

It imports from the core only `local_api.client`, `local_api.messages`, `status` and `config`.
"""
