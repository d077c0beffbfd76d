"""Synthetic plates: rendered, degraded, pasted, with the place of every character.

``render.render`` makes a flat, sharp plate, ``degrade.degrade`` what a camera makes of it; ``paste.paste``
puts it into a photograph; ``dataset.synthesize`` writes a dataset. Styles are data (``styles/*.yaml``),
letterforms are drawn (``letterforms``) or come from an atlas of fonts made beforehand (``atlas``, loaded by
path or from ``PLATELOOP_GLYPHS``).
"""
