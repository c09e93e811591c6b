"""The market side: takes events, keeps bars and what is missing of them."""
