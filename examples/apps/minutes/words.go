package main

// stop are words that say little of what a sentence is about.
var stop = set(`
	a about above actually after again against ago ahead all almost alone along already alright also although always am
	among an and another any anybody anyone anything anyway are aren't around as at away back basically be because been
	before being below between both but by came can can't cannot certainly clearly come comes coming could couldn't did
	didn't different do does doesn't doing don't done down during each eight either eleven else enough especially etc even
	ever every everybody everyone everything exactly except far few fifth fine first five for four fourth from further gave
	get gets getting give given go goes going gone gonna good got great had hadn't half happen happened has hasn't have
	haven't having he he'd he'll he's hear hello her here here's hers herself hey hi him himself his how however hundred i
	i'd i'll i'm i've if in indeed instead into is isn't it it'd it'll it's its itself just keep kind knew know known last
	later least less let let's lets like likely literally little look looking looks lot lots made make makes making many
	matter may maybe me mean means might million mine more morning most mostly much must my myself near nearly need needs
	neither never next nice nine no nobody none nor not nothing now of off oh ok okay on once one ones only onto or other
	others our ours ourselves out over own part people perfect perhaps please pretty probably put quite rather really
	right said same saw say saying says second see seem seems seen seven several shall she she'd she'll she's should
	shouldn't show since six so some somebody someone something sometimes somewhere soon sorry sort sound sounds still
	stuff such sure take taken takes talk talked talking ten than thank thanks that that'd that'll that's the their theirs
	them themselves then there there's these they they'd they'll they're they've thing things think thinking third this
	those though thought thousand three through thus time times to together told too took toward towards tried try trying
	turn twelve two uh um under unless until up upon us use used uses using usually very via want wanted wants was wasn't
	way ways we we'd we'll we're we've well went were weren't what what's whatever when when's where where's whether which
	while who who's whole whom whose why will with within without won't wonder word work works would wouldn't yeah year
	years yep yes yesterday yet you you'd you'll you're you've your yours yourself zero agreed absolutely awesome cool
	welcome bye goodbye hmm mm mhm ah today tonight tomorrow afternoon evening night week weekend month day days weeks
	months minute minutes hour hours monday tuesday wednesday thursday friday saturday sunday january february march april
	june july august september october november december percent euro euros dollar dollars pound pounds noon midnight
	ninth tenth eighth seventh sixth alone itself going able bit big small new old long short high low early late ready
	easy hard sense idea point guess hope glad happy worried left top bottom true wrong bad better best worse worst end
	came bring brings brought ask asked asks tell tells say needs needed find found feel feels felt start started starts
	stay stays set sets run runs ran goes got gotten leave leaves leaving forget forgot remember morning ready full deadline deadlines meeting agenda question questions`)

// verbs begin what people ask of each other and promise. They are no topics.
var verbs = set(`
	accept add address adjust announce answer apply approve arrange ask assign attend audit back book bring build buy
	calculate call cancel change check choose circulate clarify clean close collect compare compile complete confirm
	contact copy cover create cut decide define delay delete deliver demo deploy describe design determine develop
	discuss distribute document double-check draft drop email e-mail escalate estimate evaluate examine explain explore
	extend file fill finalise finalize finish fix focus follow forward gather generate get give grab handle help hire hold
	host hand implement improve inform install introduce investigate invite invoice join keep launch lead learn leave list
	look loop make map measure meet mention merge message migrate modify monitor move negotiate notify obtain offer open
	order organise organize outline pass pay pick ping pitch plan post postpone prepare present prioritise prioritize
	print produce propose provide publish pull purchase push put reach read recruit reduce refund register release remind
	remove rename renew replace reply report request reschedule research reserve resolve respond return review revise
	rewrite roll run schedule send set settle share ship shoot shorten show sign simplify skip sort speak split start
	stop submit summarise summarize sync take talk tell test tidy track train transfer translate try turn update upgrade
	upload use validate verify visit wait walk win wire work wrap write`)

// asides are verbs after which "I'll …" promises nothing, and "can you …" asks
// for nothing that outlasts the conversation.
var asides = set(`be see say admit guess bet imagine assume believe hear understand live survive die hope wish need want
	like love have think know stop remember agree come miss wonder repeat suppose feel`)
