"""Shopper events in, live recommendations and prices out. Start reading at `stream/engine.py`."""
