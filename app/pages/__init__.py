"""One module a page. A page draws what `app.present` says and asks the link; it decides nothing."""
