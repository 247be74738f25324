"""kelbo and its peers on the same work: the article's network, the same weights, the same data."""
