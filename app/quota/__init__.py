"""What may be spent: a limit is an amount of one dimension (requests, records, ...) that one scope
(credential, project, member, key) may use in one window (UTC day, month, ...); a want is what one call
asks for; its reservation holds that much until the call is settled to its real cost; a standing is where
a limit is now. All limits of a call are taken together or not at all.
"""
