"""Our own components, by entry point group: the same lines as in pyproject.toml, in the order of lists and reports.

They are not read from the installed metadata. A checkout that is imported through the path may lie beside metadata
of an older version or none, and metadata sort names alphabetically. `tests/lsd_core/test_plugins.py` holds both equal.
"""

DISTRIBUTION = "lsd-samplers"

_SAMPLERS = "lsd_core.samplers"
_METHODS = "lsd_core.distillation"
_BACKBONES = "lsd_core.backbones"
_TASKS = "lsd_core.tasks"
_METRICS = "lsd_core.metrics"

OURS: dict[str, dict[str, str]] = {
    "lsd.samplers": {
        "euler": f"{_SAMPLERS}.euler:Euler",
        "tweedie": f"{_SAMPLERS}.euler:Tweedie",
        "fixed_counts": f"{_SAMPLERS}.fixed_counts:FixedCounts",
        "halton": f"{_SAMPLERS}.halton:Halton",
        "learned_order": f"{_SAMPLERS}.learned_order:LearnedOrder",
        "tau_leaping": f"{_SAMPLERS}.tau_leaping:TauLeaping",
        "tau_leaping_corrected": f"{_SAMPLERS}.tau_leaping:TauLeapingCorrected",
        "theta_rk2": f"{_SAMPLERS}.theta_rk2:ThetaRK2",
        "theta_trapezoidal": f"{_SAMPLERS}.theta_trapezoidal:ThetaTrapezoidal",
        "balanced_split": f"{_SAMPLERS}.balanced_split:BalancedSplit",
        "confidence": f"{_SAMPLERS}.confidence:Confidence",
        "margin": f"{_SAMPLERS}.confidence:Margin",
        "entropy": f"{_SAMPLERS}.confidence:Entropy",
        "confidence_drawn": f"{_SAMPLERS}.confidence_drawn:ConfidenceDrawn",
        "entropy_bound": f"{_SAMPLERS}.entropy_bound:EntropyBound",
        "entropy_share": f"{_SAMPLERS}.entropy_bound:EntropyShare",
        "threshold": f"{_SAMPLERS}.threshold:Threshold",
        "klass": f"{_SAMPLERS}.klass:Klass",
        "remdm_cap": f"{_SAMPLERS}.remdm:ReMDMCap",
        "remdm_rescale": f"{_SAMPLERS}.remdm:ReMDMRescale",
        "remdm_confidence": f"{_SAMPLERS}.remdm:ReMDMConfidence",
        "remdm_loop": f"{_SAMPLERS}.remdm:ReMDMLoop",
        "psi": f"{_SAMPLERS}.psi:Psi",
        "gibbs": f"{_SAMPLERS}.gibbs:Gibbs",
        "stratified_hazards": f"{_SAMPLERS}.stratified_hazards:StratifiedHazards",
    },
    "lsd.orders": {
        "uniform": f"{_SAMPLERS}.orders.uniform:UNIFORM",
        "halton": f"{_SAMPLERS}.orders.halton:HALTON",
        "halton_2d": f"{_SAMPLERS}.orders.halton_2d:HALTON_2D",
        "left_to_right": f"{_SAMPLERS}.orders.fixed:LEFT_TO_RIGHT",
        "bisection": f"{_SAMPLERS}.orders.fixed:BISECTION",
        "dilated": f"{_SAMPLERS}.orders.fixed:DILATED",
        "blocks": f"{_SAMPLERS}.orders.blocks:BLOCKS",
    },
    "lsd.methods": {
        "plain": f"{_METHODS}.controls:PLAIN",
        "cosine": f"{_METHODS}.controls:COSINE",
        "temperature": f"{_METHODS}.controls:TEMPERATURE",
        "theta_trapezoidal": f"{_METHODS}.controls:THETA_TRAPEZOIDAL",
        "halving": f"{_METHODS}.controls:HALVING",
        "fixed_counts": f"{_METHODS}.controls:FIXED_COUNTS",
        "jys": f"{_METHODS}.jys:JYS",
        "eds": f"{_METHODS}.entropic:EDS",
        "wds": f"{_METHODS}.entropic:WDS",
        "lsd": f"{_METHODS}.lsd:LSD",
        "lsd_plus": f"{_METHODS}.lsd_plus:LSD_PLUS",
        "lsd_plus_literal": f"{_METHODS}.lsd_plus:LSD_PLUS_LITERAL",
        "path_kl_schedule": f"{_METHODS}.path_kl:PATH_KL_SCHEDULE",
        "path_kl": f"{_METHODS}.path_kl:PATH_KL",
        "path_kl_sharp": f"{_METHODS}.path_kl:PATH_KL_SHARP",
        "path_kl_rescaled": f"{_METHODS}.path_kl:RESCALED",
        "confidence_drawn": f"{_METHODS}.controls:CONFIDENCE_DRAWN",
    },
    "lsd.backbones": {
        "markov": f"{_BACKBONES}.markov:FAMILY",
        "hidden_markov": f"{_BACKBONES}.hidden_markov:FAMILY",
        "lists": f"{_BACKBONES}.lists:FAMILY",
        "pixel_mlp": f"{_BACKBONES}.pixels:PIXEL_MLP",
        "sedd-uniform": f"{_BACKBONES}.sedd_uniform:FAMILY",
        "sedd": f"{_BACKBONES}.sedd:FAMILY",
        "radd": f"{_BACKBONES}.radd:FAMILY",
        "mdlm": f"{_BACKBONES}.mdlm:FAMILY",
        "mdlm-timed": f"{_BACKBONES}.mdlm:TIMED_FAMILY",
        "duo": f"{_BACKBONES}.duo:FAMILY",
        "tauldr": f"{_BACKBONES}.tauldr:FAMILY",
        "masked-lm": f"{_BACKBONES}.masked_lm:FAMILY",
        "llada": f"{_BACKBONES}.diffusion_lm:LLADA",
        "dream": f"{_BACKBONES}.diffusion_lm:DREAM",
        "python": f"{_BACKBONES}.imported:FAMILY",
    },
    "lsd.tasks": {
        "countdown": f"{_TASKS}.countdown:TASK",
        "text": f"{_TASKS}.text:TASK",
        "molecules": f"{_TASKS}.molecules:TASK",
        "sequences": f"{_TASKS}.sequences:TASK",
        "digits": f"{_TASKS}.digits:TASK",
        "openwebtext": f"{_TASKS}.openwebtext:TASK",
        "cifar10": f"{_TASKS}.cifar10:TASK",
        "antibody": f"{_TASKS}.antibody:TASK",
        "lists": f"{_TASKS}.lists:TASK",
        "sudoku": f"{_TASKS}.sudoku:TASK",
    },
    "lsd.metrics": {
        "distinct": f"{_METRICS}.distinct:METRIC",
        "self_bleu": f"{_METRICS}.self_bleu:METRIC",
        "generative_perplexity": f"{_METRICS}.generative_perplexity:METRIC",
        "mauve": f"{_METRICS}.mauve_score:METRIC",
        "moses": f"{_METRICS}.molecules.benchmark:METRIC",
        "fid": f"{_METRICS}.image_metrics:FID",
        "inception_score": f"{_METRICS}.image_metrics:INCEPTION_SCORE",
    },
}
