"""The command `foraging-snn explore`: a folder of trials and landscapes as a page in the browser.

contents.py reads the folder, tables.py and live.py compute what is shown (pure functions, no page), page.py makes the page of it,
serving.py serves it and exporting.py writes it to a file. Bokeh is imported by the last three only.
"""
