"""The evidence: what the methods reach on real data. Each study is a claim of a paper, and what came of it.

    studies.methods    one study for each method, by the name of the method; ``python -m studies NN``
    studies.speech     the recognisers and the keyword spotters in the package
    studies.networks   networks that others made and trained, as integer Programs
    studies.gpu        what needs a large GPU
    studies.tasks      data and networks that several studies share
    studies.evidence   the record of a study, its page, comparisons in pairs

Nothing here is part of the package `fewbit`; see ``studies/README.md``.
"""
