"""The HTML pages, in English and Chinese.

=============  ===========================================================
`routes`       the addresses of the pages, and their error page
`forms`        register and search, also without scripts
`people`       people and a person
`photos`       photos and a photo
`state`        review, history, status and the explorer of the API
`login`        the page that exchanges an API key for a session
`paging`       the pages of a long list
`context`      values that each template gets; language and theme
`results`      API results prepared for the templates
`texts`        `Texts`, the translations in `faceall/web/texts`
=============  ===========================================================
"""
