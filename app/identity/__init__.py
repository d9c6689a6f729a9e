"""Who calls: a person is someone named; a membership is a person in a project, from a day until a day;
a key belongs to one membership and has an id, which may be shown, and secrets, which are shown once and
then kept as a keyed digest; an access token is what the token endpoint gives for a key and its secret,
good for two hours; a role says what a person may do, and a session is a person signed in to the console.
"""
