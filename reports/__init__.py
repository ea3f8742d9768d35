"""Evidence records become one offline HTML page, `report.json`, a Markdown summary and a badge."""
