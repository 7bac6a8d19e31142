"""A client's own model: trained, judged, and kept between rounds."""
