"""The log that can be checked: an entry says what one request asked and what was decided; its leaf is the
entry's canonical bytes, stored once and hashed as stored; the tree is RFC 6962's over all leaves; the
frontier is all that must be kept to append to it; a checkpoint is a signed size and root; a receipt is an
entry's place, and a proof shows that the place lies under a checkpoint's root.
"""
