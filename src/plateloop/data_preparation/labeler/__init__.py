"""The labeler: a web page on which people draw boxes and read plates, over one manifest dataset."""
